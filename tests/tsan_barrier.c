/* The barrier of the engine, the work it deals out and what follows step by step, under the thread sanitizer; tests/tsan.sh builds and runs it.
 *
 * POSIX threads, since the sanitizer does not see into OpenMP's runtime. With -DWITHOUT_BARRIER the same program must be
 * reported as a race: that shows the sanitizer looks where the barrier works.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "barrier.h"

enum { MAX_THREADS = 7, ROUNDS = 1000, PIECES = 40 };

typedef struct {
    fr_team team;
    int size, stop_round;
    int slot[2][MAX_THREADS]; /* plain memory: only the barrier orders its reads and writes */
    int left[MAX_THREADS];
    int done[PIECES]; /* how often each piece of the work that waits was taken */
    char lock;
    long counted;
    int wrong;
} shared;

typedef struct {
    shared *all;
    int rank;
} worker_argument;

static int meet(shared *all) {
#ifdef WITHOUT_BARRIER
    (void)all;
    return 0;
#else
    return fr_barrier(&all->team, all->size);
#endif
}

/* In even rounds each piece is taken by one thread; in odd ones nobody takes, so that the first may look and begin anew. */
static int take(shared *all, int rank, int round) {
    int wrong = 0;
    if (round % 2 == 0) {
        for (ptrdiff_t i; (i = fr_take(&all->team, 3)) < PIECES;)
            for (ptrdiff_t j = i; j < i + 3 && j < PIECES; j++) all->done[j]++;
    } else if (rank == 0) {
        for (int j = 0; j < PIECES; j++) wrong += all->done[j] != round / 2 + 1;
        fr_take_anew(&all->team);
    }
    return wrong;
}

static void *work(void *argument) {
    shared *all = ((worker_argument *)argument)->all;
    const int rank = ((worker_argument *)argument)->rank;
    int round = 0, wrong = 0;
    while (round < ROUNDS) {
        all->slot[round & 1][rank] = round * MAX_THREADS + rank;
        if (rank == 0 && round == all->stop_round) fr_stop(&all->team);
        if (meet(all)) break;
        for (int other = 0; other < all->size; other++)
            wrong += all->slot[round & 1][other] != round * MAX_THREADS + other;
        wrong += take(all, rank, round);
        fr_lock(&all->lock);
        all->counted++;
        fr_unlock(&all->lock);
        round++;
    }
    all->left[rank] = round;
    fr_lock(&all->lock);
    all->wrong += wrong;
    fr_unlock(&all->lock);
    return NULL;
}

static int run(int size, int stop_round) {
    shared *all = aligned_alloc(_Alignof(shared), sizeof *all);
    if (!all) return 1;
    *all = (shared){.size = size, .stop_round = stop_round};
    fr_team_start(&all->team, fr_seconds());
    pthread_t threads[MAX_THREADS];
    worker_argument arguments[MAX_THREADS];
    for (int i = 0; i < size; i++) {
        arguments[i] = (worker_argument){all, i};
        if (pthread_create(&threads[i], NULL, work, &arguments[i])) return 1;
    }
    for (int i = 0; i < size; i++) pthread_join(threads[i], NULL);
    /* A stop is seen by all at one barrier: nobody is left waiting at the next. */
    const int expected = stop_round < ROUNDS ? stop_round : ROUNDS;
    int wrong = all->wrong || all->counted != (long)expected * size;
    for (int i = 0; i < size; i++) wrong |= all->left[i] != expected;
    printf("%d threads, stop at %d: %s\n", size, stop_round, wrong ? "WRONG" : "right");
    free(all);
    return wrong;
}

/* ---- Threads of a team that work alone: what each makes step by step the next one reads behind it. */

typedef struct {
    fr_team team;
    fr_progress progress[MAX_THREADS], ended;
    int size, stop_round, wrong;
    int made[ROUNDS][MAX_THREADS]; /* plain memory: only progress orders its writes and reads */
    int left[MAX_THREADS];
} followed;

typedef struct {
    followed *all;
    int rank;
} follower_argument;

static int follow(followed *all, int rank, int steps, fr_team *alone) {
#ifdef WITHOUT_BARRIER
    (void)all, (void)rank, (void)steps, (void)alone;
    return 0;
#else
    return fr_follow(&all->progress[rank - 1], steps, alone);
#endif
}

static void *work_behind(void *argument) {
    followed *all = ((follower_argument *)argument)->all;
    const int rank = ((follower_argument *)argument)->rank;
    fr_team alone;
    fr_team_part(&alone, &all->team, rank == 0);
    int round = 0, wrong = 0;
    for (; round < ROUNDS; round++) {
        if (rank == 0 && round == all->stop_round) {
            fr_stop(&alone);
            break;
        }
        if (rank > 0) {
            if (follow(all, rank, round + 1, &alone)) break;
            wrong += all->made[round][rank - 1] != round * MAX_THREADS + rank - 1;
        }
        all->made[round][rank] = round * MAX_THREADS + rank;
        fr_advance(&all->progress[rank], round + 1);
    }
    all->left[rank] = round;
    __atomic_add_fetch(&all->wrong, wrong, __ATOMIC_RELAXED);
    fr_end(&all->ended);
    while (rank == 0 && !fr_ended(&all->ended, all->size));
    if (rank > 0) return NULL;
    /* Thread 0 has seen all end: what they left may be read. Nobody passes the one that he follows. */
    for (int i = 1; i < all->size; i++) all->wrong |= all->left[i] > all->left[i - 1];
    return NULL;
}

static int run_behind(int size, int stop_round) {
    followed *all = aligned_alloc(_Alignof(followed), sizeof *all);
    if (!all) return 1;
    memset(all, 0, sizeof *all);
    all->size = size;
    all->stop_round = stop_round;
    fr_team_start(&all->team, fr_seconds());
    pthread_t threads[MAX_THREADS];
    follower_argument arguments[MAX_THREADS];
    for (int i = 0; i < size; i++) {
        arguments[i] = (follower_argument){all, i};
        if (pthread_create(&threads[i], NULL, work_behind, &arguments[i])) return 1;
    }
    for (int i = 0; i < size; i++) pthread_join(threads[i], NULL);
    int wrong = all->wrong || all->left[0] != stop_round;
    for (int i = 0; i < size; i++) wrong |= stop_round == ROUNDS && all->left[i] != ROUNDS;
    printf("%d threads behind each other, stop at %d: %s\n", size, stop_round,
           wrong ? "WRONG" : "right");
    free(all);
    return wrong;
}

int main(void) {
    int wrong = 0;
    for (int size = 1; size <= MAX_THREADS; size++) {
        wrong |= run(size, ROUNDS);
        wrong |= run(size, 100 + size);
    }
    for (int size = 2; size <= MAX_THREADS; size++) {
        wrong |= run_behind(size, ROUNDS);
        wrong |= run_behind(size, 100 + size);
    }
    return wrong;
}
