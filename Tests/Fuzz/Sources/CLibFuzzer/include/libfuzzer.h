// The part of libFuzzer's interface that is called: https://llvm.org/docs/LibFuzzer.html#using-libfuzzer-as-a-library
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Runs the fuzzer with the arguments of a command line, which it may change, on the function under test.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*function)(const uint8_t *data, size_t size));
