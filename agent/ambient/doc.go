// Package ambient knows the secrets that a user's machine holds without nbhush:
// in the environment of a kernel, in .env files beside its notebook, and in the
// files in which programs keep their credentials. They are known so that they can
// be taken out of what a kernel shows. Nothing serves them.
//
//	environment ── Environment ──┐
//	.env, .netrc, ~/.aws/… ── Files.Read ──> name and value: does the name say ──> match.Known
//	                             │              that it is a secret, and is the
//	                             └──            value one that can be matched?
//
// No program's settings are parsed as that program does. A file is lines of name
// and value, or JSON, or a form of its own (netrc, pgpass, a token alone);
// what is not understood is passed over. Only values that can be told from
// other text count: too many hidden words are a defect as well.
package ambient
