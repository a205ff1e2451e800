// Package wandb reads the log that Weights & Biases keeps of an offline run, to
// say where in it secrets stand.
//
//	run-ID.wandb ── blocks of 32 KiB ──> records ── protobuf's wire format ──> texts
//	                  (LevelDB's log)                  (no schema)             "config API_KEY"
//
// The file is a header of seven bytes and then a log as LevelDB writes it
// (doc/log_format.md of LevelDB), whose records are messages of protobuf
// (protobuf.dev, "Encoding"). Nothing is decompressed: wandb compresses nothing.
// Checksums are not looked at, since a damaged record may still hold a secret;
// what no longer can be read is counted.
//
// The package searches nothing and writes nothing.
package wandb
