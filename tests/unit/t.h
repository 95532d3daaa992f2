/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * t.h - what the tests of the core share: cmocka, VMs on a fake KVM, and a look at
 * the process before and after
 */
#ifndef TESTS_T_H
#define TESTS_T_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>

#include "vmm.h"

#include "tests/unit/fake_kvm.h"
#include "vmm/cpumask.h"
#include "vmm/types.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define T_SANITIZED	1
#else
#define T_SANITIZED	0
#endif

#define T_TIMEOUT_MS	20000

/* ---- The process --------------------------------------------------------- */

#define T_MAX_FDS	128
#define T_MAX_SIGNALS	65

struct t_fd {
	int	nr;
	char	link[64];	/* what it is */
};

/* What belongs to the host and has to be as it was. */
struct t_process {
	struct t_fd		fds[T_MAX_FDS];
	size_t			nr_fds;
	u32			nr_threads;
	char			thread[32];	/* the youngest */
	u32			nr_maps;	/* of rings and shared pages */
	u64			kib;		/* of address space */
	struct cpumask		cpus;
	sigset_t		blocked;
	struct sigaction	actions[T_MAX_SIGNALS];
};

void t_process_save(struct t_process *p);

/* Fail unless all is as it was.  Waits a little for threads to be gone. */
void t_process_check(const struct t_process *before);
/* The same, as text: NULL, or what is different. */
const char *t_process_diff(const struct t_process *before, char *buf, size_t size);

/* Skip the test if this process may make no namespaces: some hosts refuse them to whoever we are. */
void t_need_namespaces(void);

/* ---- Loops ------------------------------------------------------------------ */

/* A loop; T_LENT_LOOPS=1: one for a thread of the host's. */
struct loop *t_loop(void);

/* ---- Files ----------------------------------------------------------------- */

/* A memfd with this in it. */
int t_file(const void *data, size_t len);
/* An empty file without a name, where the tests run: on a disk, if that is. */
int t_disk_file(void);
/* A kernel: a flat binary of a page. */
int t_kernel(void);
/* Read until @len bytes or the end; the number. */
size_t t_read(int fd, void *buf, size_t len);

/* ---- VMs -------------------------------------------------------------------- */

#define T_RAM		MIB(32)
#define T_UART		0x01000000ull
#define T_UART_THR	(T_UART + 0)
#define T_UART_IER	(T_UART + 1)
#define T_UART_LSR	(T_UART + 5)
#define T_LSR_DR	0x01
#define T_LSR_THRE	0x20

#define T_OFF		{ .kind = FAKE_SYSTEM_EVENT, .data = KVM_SYSTEM_EVENT_SHUTDOWN }

/* A VM on @fake with a kernel set.  @cfg may be NULL; 0 RAM becomes T_RAM. */
struct vmm *t_vm(struct fake_kvm *fake, const struct vmm_config *cfg);
void t_start(struct vmm *vm);
int t_add_console(struct vmm *vm, int in_fd, int out_fd);

/* Wait for the next event, by the descriptor. */
void t_event(struct vmm *vm, struct vmm_event *ev);
/* ... which is STOPPED for @reason. */
void t_stopped(struct vmm *vm, enum vmm_stop_reason reason);

/* Everything went as KVM wants it, all is closed, and the fake is gone. */
void t_fake_done(struct fake_kvm *fake);

/* Steps that print @text, waiting for room before each byte; returns how many. */
size_t t_print(struct fake_step *steps, size_t max, const char *text);

/* ---- Log and time ------------------------------------------------------------ */

struct t_log {
	pthread_mutex_t	lock;
	u32		nr[VMM_LOG_DEBUG + 1];
	char		text[8192];
	size_t		len;
};
#define T_LOG_INIT { .lock = PTHREAD_MUTEX_INITIALIZER }
void t_log(void *log, int level, const char *msg);
bool t_logged(struct t_log *log, const char *part);

u64 t_now_ms(void);
void t_sleep_ms(unsigned int ms);
/* Of a thread of this process: proc(5), the third of its stat. */
char t_thread_state(pid_t tid);

/* Wait until @cond is true; fail after T_TIMEOUT_MS. */
#define t_until(cond)								\
	do {									\
		u64 t_end = t_now_ms() + T_TIMEOUT_MS;				\
										\
		while (!(cond)) {						\
			assert_true(t_now_ms() < t_end);			\
			t_sleep_ms(1);						\
		}								\
	} while (0)

#endif
