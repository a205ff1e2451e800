#include "go_asm.h"
#include "textflag.h"

#define SYS_madvise 28
#define SYS_prctl 157
#define SYS_sched_setaffinity 203
#define SYS_sched_getaffinity 204
#define SYS_prlimit64 302
#define SYS_getcpu 309

DATA none<>+0(SB)/8, $3                  // a standard one that is closed can still be opened
GLOBL none<>(SB), NOPTR, $16             // struct rlimit: no open file but the standard ones
GLOBL cpu<>(SB), NOPTR, $4               // that the process is on
GLOBL only<>(SB), NOPTR, $const_maskSize // a set of that one

// start is where the process begins, in place of _rt0_amd64_linux, to which it
// goes on with the stack as it was: argc, argv and the environment lie at SP
// (System V ABI, AMD64 supplement, 3.4.1). What a system call refuses stays as it is.
TEXT ·start(SB),NOSPLIT|NOFRAME,$0
	MOVQ 0(SP), AX
	MOVQ AX, ·argc(SB)
	LEAQ 16(SP)(AX*8), BX
	MOVQ BX, ·environ(SB)

	// The auxiliary vector is behind the environment and has the program's headers.
environment:
	ADDQ $8, BX
	CMPQ -8(BX), $0
	JNE  environment
	XORL R12, R12 // headers
	XORL R13, R13 // how many
vector:
	MOVQ (BX), AX
	CMPQ AX, $const_atPhdr
	JNE  number
	MOVQ 8(BX), R12
number:
	CMPQ AX, $const_atPhnum
	JNE  another
	MOVQ 8(BX), R13
another:
	ADDQ $16, BX
	TESTQ AX, AX
	JNZ  vector

	// What of the file is not written to is mapped at once: from the page cache,
	// and where that has it no more the call reads it, as the pages' faults would.
header:
	TESTQ R12, R12
	JZ   mapped
	TESTQ R13, R13
	JZ   mapped
	CMPL 0(R12), $const_ptLoad
	JNE  next
	TESTL $const_pfW, 4(R12)
	JNZ  next
	MOVL $SYS_madvise, AX
	MOVQ 16(R12), DI // p_vaddr, which the linker aligns to pages
	MOVQ 40(R12), SI // p_memsz
	MOVL $const_madvPopulateRead, DX
	SYSCALL
next:
	ADDQ $56, R12
	DECQ R13
	JMP  header

mapped:
	MOVQ ·rate(SB), AX
	MOVQ $0, (AX)

	MOVL $SYS_prctl, AX
	MOVL $const_prSetTimerSlack, DI
	MOVL $const_slack, SI
	SYSCALL

	MOVL  $SYS_prlimit64, AX
	XORL  DI, DI
	MOVL  $const_rlimitNoFile, SI
	XORL  DX, DX
	LEAQ  ·files(SB), R10
	SYSCALL
	TESTQ AX, AX
	JNZ   processor
	MOVQ  ·files+8(SB), AX // Max, which must stay
	MOVQ  AX, none<>+8(SB)
	MOVL  $SYS_prlimit64, AX
	LEAQ  none<>(SB), DX
	XORL  R10, R10
	SYSCALL

processor:
	MOVL  $SYS_sched_getaffinity, AX
	XORL  DI, DI
	MOVL  $const_maskSize, SI
	LEAQ  ·allowed(SB), DX
	SYSCALL
	TESTQ AX, AX
	JLE   go
	MOVL  $SYS_getcpu, AX
	LEAQ  cpu<>(SB), DI
	XORL  SI, SI
	XORL  DX, DX
	SYSCALL
	TESTQ AX, AX
	JNZ   go
	MOVL  cpu<>(SB), CX
	CMPL  CX, $(const_maskSize*8)
	JCC   go
	LEAQ  only<>(SB), DX
	BTSQ  CX, (DX) // of a bit string in memory: beyond the first word, too
	MOVL  $SYS_sched_setaffinity, AX
	XORL  DI, DI
	MOVL  $const_maskSize, SI
	SYSCALL

go:
	JMP _rt0_amd64_linux(SB)
