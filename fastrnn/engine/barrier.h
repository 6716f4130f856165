/* What the engine needs to know of threads: a team, its barrier, a clock, a lock. The one C file that knows threads.
 *
 * The barrier spins, then yields: a pure spin collapses when another process takes one of our cores.
 */
#ifndef FASTRNN_BARRIER_H
#define FASTRNN_BARRIER_H

#include <math.h>
#include <sched.h>
#include <stddef.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#define fr_thread() omp_get_thread_num()
#define fr_team_size() omp_get_num_threads()
#define FR_HAVE_OPENMP 1
#else
#define fr_thread() 0
#define fr_team_size() 1
#define FR_HAVE_OPENMP 0
#endif

/* Under the address sanitizer a buffer has its exact size, is never used again, and starts as NaN. */
#if defined(__SANITIZE_ADDRESS__)
#define FR_SANITIZE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FR_SANITIZE 1
#endif
#endif
#ifndef FR_SANITIZE
#define FR_SANITIZE 0
#endif

/* Counters that different threads write stand on different cache lines. */
typedef struct {
    _Alignas(128) int arrived;
    _Alignas(128) int round;
    _Alignas(128) int stopped; /* thread 0 wants everybody to return */
    int *stop; /* its own, or that of the team that it is a part of */
    _Alignas(128) ptrdiff_t taken; /* of work that waits for whoever has time */
    int agreed; /* the same for the whole team between two barriers */
    double polled; /* when thread 0 last looked for signals */
    double work; /* what it has done since it last looked at the clock */
    unsigned long outside; /* thread 0's floating-point control word outside the engine */
} fr_team;

static inline void fr_team_start(fr_team *team, double now) {
    team->arrived = team->round = team->stopped = team->agreed = 0;
    team->stop = &team->stopped;
    team->taken = 0;
    team->polled = now;
    team->work = 0;
}

/* A thread of a team that works alone, and stops with all. Only thread 0 of all looks for signals. */
static inline void fr_team_part(fr_team *part, const fr_team *whole, int first) {
    fr_team_start(part, first ? whole->polled : HUGE_VAL);
    part->stop = whole->stop;
    if (first) part->outside = whole->outside;
}

static inline void fr_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

enum { SPINS = 400 }; /* some 10 microseconds: longer than a balanced team needs */

/* Waits for the team; nonzero: the team agreed to stop. The last to arrive decides, so all see one answer. */
static inline int fr_barrier(fr_team *team, int size) {
    if (size == 1) return team->agreed = __atomic_load_n(team->stop, __ATOMIC_RELAXED);
    const int round = __atomic_load_n(&team->round, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&team->arrived, 1, __ATOMIC_ACQ_REL) == size) {
        team->agreed = __atomic_load_n(team->stop, __ATOMIC_RELAXED);
        __atomic_store_n(&team->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&team->round, round + 1, __ATOMIC_RELEASE);
    } else {
        for (int spins = 0; __atomic_load_n(&team->round, __ATOMIC_ACQUIRE) == round; spins++) {
            if (spins < SPINS)
                fr_pause();
            else
                sched_yield();
        }
    }
    return team->agreed;
}

static inline int fr_stopping(fr_team *team) {
    return __atomic_load_n(team->stop, __ATOMIC_RELAXED);
}

static inline void fr_stop(fr_team *team) { __atomic_store_n(team->stop, 1, __ATOMIC_RELAXED); }

/* How far work is that others follow step by step, on a cache line of its own. */
typedef struct {
    _Alignas(128) ptrdiff_t steps;
} fr_progress;

static inline void fr_advance(fr_progress *progress, ptrdiff_t steps) {
    __atomic_store_n(&progress->steps, steps, __ATOMIC_RELEASE);
}

/* Waits until `steps` steps are done; nonzero: the team is to stop. */
static inline int fr_follow(fr_progress *progress, ptrdiff_t steps, fr_team *team) {
    for (int spins = 0; __atomic_load_n(&progress->steps, __ATOMIC_ACQUIRE) < steps; spins++) {
        if (fr_stopping(team)) return 1;
        if (spins < SPINS)
            fr_pause();
        else
            sched_yield();
    }
    return 0;
}

/* The first of the next `count` pieces of the work that waits; thread 0 says between two barriers that it is new. */
static inline ptrdiff_t fr_take(fr_team *team, ptrdiff_t count) {
    return __atomic_fetch_add(&team->taken, count, __ATOMIC_RELAXED);
}

static inline void fr_take_anew(fr_team *team) {
    __atomic_store_n(&team->taken, 0, __ATOMIC_RELAXED);
}

/* Whether `work` more multiply-adds of thread 0 make it worth to look at the clock, which costs as much as a small step. */
static inline int fr_due(fr_team *team, double work) {
    team->work += work;
    if (team->work < 1e6) return 0;
    team->work = 0;
    return 1;
}

static inline double fr_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* One more thread has nothing left to do; whether all have (who asks lets others run). */
static inline void fr_end(fr_progress *ended) {
    __atomic_add_fetch(&ended->steps, 1, __ATOMIC_ACQ_REL);
}

static inline int fr_ended(fr_progress *ended, int size) {
    if (__atomic_load_n(&ended->steps, __ATOMIC_ACQUIRE) >= size) return 1;
    sched_yield();
    return 0;
}

/* A lock for a few instructions; the interpreter's lock is not there to protect us on free-threaded builds. */
static inline void fr_lock(char *lock) {
    while (__atomic_test_and_set(lock, __ATOMIC_ACQUIRE)) sched_yield();
}

static inline void fr_unlock(char *lock) { __atomic_clear(lock, __ATOMIC_RELEASE); }

#endif
