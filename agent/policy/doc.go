// Package policy decides who may have which value. It knows names and files,
// and no value.
//
//	dir ──Find──▶ nbhush.toml ──Parse──▶ Config: names, profiles, rules ─┐
//	                  │                     │                           │
//	flag, environment, notebook, branch ──Choose──▶ profile ────────────┤
//	                  │                                                 │
//	                  └────Hash──▶ of what the kernel's agent reads ────┤
//	                                                                    ▼
//	nbhush allow ──▶ Approvals: path, hash, since (allowed.json) ───▶ Decide ──▶ Decision: yes, no, ask
//	                                                                    ▲
//	what the user answered, nbhush allow|deny --name ──▶ Grants ────────┤ (grants.json)
//	                                                                    ▲
//	[[rules]] of the user's settings ──OwnRules──▶ Rules ───────────────┤
//	                                                                    │
//	who asks for what ──▶ Request ──────────────────────────────────────┘
//
// An nbhush.toml holds no value and is committed with the project. Because
// whoever can change it could ask for more, it counts only after the user
// approved exactly this content at exactly this path, as direnv does with .envrc.
//
// # Invariants
//
//   - Decide is pure, and allows nothing but what the owner asks for, what is
//     listed in an approved file and what was granted; what was denied it allows
//     to no kernel. FuzzDecide, FuzzGrants and FuzzRules hold it to that.
//   - A rule of an nbhush.toml takes away, and never gives; whoever does not say what
//     a rule asks for gains nothing by it; and neither does who edits or removes the file.
//   - No message repeats a value that somebody wrote into an nbhush.toml by mistake.
//   - Approvals and grants survive two writers and a crash: old or new, never half.
package policy
