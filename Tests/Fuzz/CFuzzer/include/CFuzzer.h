/* SPDX-License-Identifier: ISC */
#ifndef MARTLET_CFUZZER_H
#define MARTLET_CFUZZER_H

#include <stddef.h>
#include <stdint.h>

/* Looks at one input; returns 0. What is wrong with it ends the process. */
typedef int (*martlet_fuzz_target)(const uint8_t *bytes, size_t count);

/* Runs the fuzzer of the compiler where it is linked (-sanitize=fuzzer); otherwise plays the files and directories that
 * are named. The exit status. */
int martlet_fuzz(int argc, char **argv, martlet_fuzz_target target);

#endif
