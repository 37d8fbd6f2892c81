// Tells ThreadSanitizer of the waits of Synchronization.Mutex, to be preloaded on Linux:
//
//   clang -O2 -shared -fPIC Scripts/support/tsan-mutex.c -o tsan-mutex.so
//   LD_PRELOAD=./tsan-mutex.so PROGRAM
//
// A mutex that nobody holds is taken by an instruction in the program, which ThreadSanitizer sees. One that somebody holds
// is waited for in the standard library, and handed over by the kernel (FUTEX_LOCK_PI, FUTEX_UNLOCK_PI): that it does not
// see, and takes what two threads do one after the other for a race. So both calls into the library are reported here.
// What is no matter of a mutex is reported as before. Swift 6.3; a program without ThreadSanitizer runs as without this.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

typedef SWIFT void Lock(uint32_t thread, SELF void *mutex);
typedef SWIFT void Unlock(SELF void *mutex);

SWIFT void wait_and_lock(uint32_t thread, SELF void *mutex) __asm__(LOCK);
SWIFT void unlock_and_wake(SELF void *mutex) __asm__(UNLOCK);

SWIFT void wait_and_lock(uint32_t thread, SELF void *mutex) {
  ((Lock *)dlsym(RTLD_NEXT, LOCK))(thread, mutex);
  if (__tsan_acquire) __tsan_acquire(mutex);
}

SWIFT void unlock_and_wake(SELF void *mutex) {
  if (__tsan_release) __tsan_release(mutex);
  ((Unlock *)dlsym(RTLD_NEXT, UNLOCK))(mutex);
}
