/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * faults.h - calls of libc's that fail on request
 *
 * The programs that the Makefile names in UNIT_FAULTY are linked with a library
 * that calls t_malloc() for malloc() and so on.  The fake and the tests themselves
 * call the real ones.
 */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

/* The @n-th call of this process from now on, counted from 1, fails with @err, once; or
 * ENOMEM, if it allocates.  0: none does. */
void faults_arm(size_t n, int err);
void faults_disarm(void);

/* What the calling thread asks the library for is the test's: it neither fails nor counts. */
void faults_spare(bool on);

/* What failed since faults_arm(), by name, and with which errno; NULL: nothing. */
const char *faults_failed(void);
int faults_errno(void);

/* Calls of these names, @nr of them, neither fail nor count from now on. */
void faults_skip(const char *const *names, size_t nr);

/* For calls elsewhere that can fail likewise: 0, or the errno, which is @err unless that is 0. */
int faults_hit(const char *what, int err);

/* Mappings that the library has. */
size_t faults_nr_maps(void);

/* Every sched_setaffinity() fails with @err, until it is 0. */
void faults_set_affinity(int err);
/* ... or the next @n of them. */
void faults_set_affinity_times(int err, size_t n);

/*
 * The next @n calls of @what, by its name, fail with @err, or move a third of what they should
 * if that is 0.  What is planned for the same call comes in the order in which it was.
 */
void faults_plan(const char *what, int err, size_t n);
/* Forget what did not happen; returns how often it would have. */
size_t faults_unplan(void);

/* A ring takes nothing, and every wait for it fails with @err, until it is 0. */
void faults_break_rings(int err);
/* ... or takes nothing while completions are in it: EBUSY, as of kernels before 5.13. */
void faults_crowd_rings(bool on);

/*
 * Every other read and wait is interrupted, and reads bring a part of what is wanted: none
 * of it is a failure.  How often that was, when it is switched off.
 */
void faults_hinder(void);
size_t faults_unhinder(void);

#endif
