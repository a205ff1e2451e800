// Package provider reads secrets from where teams keep them: a reference in an
// nbhush.toml goes in, a value comes out, and is kept in memory for its lease.
//
//	secret.Ref ──▶ Resolver.Get ──▶ entry: document, lease, next try ── fresh? ──▶ field ──▶ value
//	                                   │ no                        ▲
//	                  settings, login  ▼                           │
//	      ┌──────────── Provider.Read(Query) ──▶ Document ─────────┘
//	      │                                      value, fields, lease
//	      ├─ files: dotenv json yaml ini netrc file docker kaggle wandb
//	      ├─ HTTP without an SDK: openbao (vault), databricks
//	      ├─ programs of the user: pass sops gpg op bitwarden keychain
//	      └─ the provider protocol (protocol.go): nbhush-providers, which holds the
//	         official SDKs (aws-sm aws-ssm gcp azure), and any nbhush-provider-NAME on PATH
//
// # Invariants
//
//   - An error says which provider, which reference, what happened and what to do, in
//     one line of our own words: never text that a server or a program sent,
//     since that may repeat the value.
//   - Every read has a deadline, and every answer a cap.
//   - TLS is verified. An address without it must be of this machine.
//   - A credential goes to the address that the approved nbhush.toml names and to no
//     other: redirects to another server are refused.
//   - Nothing is written to a disk.
package provider
