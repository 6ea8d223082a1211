// Whether the kernels with AMX's tiles can be used here, and whether they should be.
#pragma once

namespace jiphyeon {

// Whether the processor has tiles, the system lets this process use them, and they compute what AVX-512 does.
// The processor must run the AVX-512 kernels. Asks the system for the right to use tiles, which a process
// keeps: to be called before its system calls are limited.
bool runs_amx();

// Whether tiles took less time than AVX-512 in a trial of some milliseconds. Which of them is faster differs
// from one processor to the next, and with what else runs on it. For where runs_amx().
bool amx_is_faster();

}  // namespace jiphyeon
