/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostinfo.c - what this host can do, for who has no VM yet
 *
 * All is found out when the host is opened, and what KVM is asked with is closed
 * again before that returns.  Only what concerns this process fails it, memory and
 * a wrong configuration; what the host lacks is a result.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "arm64/hostinfo.h"
#include "arm64/machine.h"
#include "spe/abi.h"
#include "spe/spe.h"
#include "spe/topology.h"
#include "vmm/config.h"
#include "vmm/cpumask.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/kvm.h"
#include "vmm/landlock.h"
#include "vmm/loop.h"
#include "vmm/sandbox.h"

#define IPA_BITS_MIN	32	/* Documentation/virt/kvm/api.rst, KVM_CREATE_VM */
#define IPA_BITS_OLD	40	/* without KVM_CAP_ARM_VM_IPA_SIZE */

struct vmm_host {
	struct topology		*topo;
	struct vmm_host_cpu	*cpus;		/* .nr_cpus of .info */
	struct vmm_host_info	info;
	struct vmm_host_verdict	verdict;
};

/* ---- CPUs --------------------------------------------------------------------- */

static const struct event_source *pmu_of(const struct topology *topo, unsigned int cpu)
{
	for (size_t i = 0; i < topo->nr_pmus; i++)
		if (topo->pmus[i].usable && cpumask_has(&topo->pmus[i].cpus, cpu))
			return &topo->pmus[i];
	return NULL;
}

static const struct event_source *spe_of(const struct topology *topo, unsigned int cpu)
{
	for (size_t i = 0; i < topo->nr_spus; i++)
		if (topo->spus[i].dev.usable && cpumask_has(&topo->spus[i].dev.cpus, cpu))
			return &topo->spus[i].dev;
	return NULL;
}

static void fill_cpu(const struct topology *topo, unsigned int cpu, struct vmm_host_cpu *row)
{
	const struct event_source *pmu = pmu_of(topo, cpu);
	const struct event_source *spe = spe_of(topo, cpu);
	const char *name;

	row->number = cpu;
	row->online = cpumask_has(&topo->online, cpu);
	row->allowed = cpumask_has(&topo->process, cpu);
	row->midr = row->online ? topology_midr(topo, cpu) : 0;
	name = topology_midr_name(row->midr);
	snprintf(row->name, sizeof(row->name), "%s", name ? name : "");
	snprintf(row->pmu, sizeof(row->pmu), "%s", pmu ? pmu->name : "");
	snprintf(row->spe, sizeof(row->spe), "%s", spe ? spe->name : "");
}

/* What is present; what is merely possible, hundreds on some, tells nothing. */
static int list_cpus(struct vmm_host *host, struct vmm_error *err)
{
	const struct topology *topo = host->topo;
	size_t max = cpumask_count(&topo->present) + cpumask_count(&topo->online);
	u32 nr = 0;

	host->cpus = calloc(max, sizeof(*host->cpus));
	if (!host->cpus)
		return error_set(err, -ENOMEM, "host CPUs: no memory");
	for (unsigned int cpu = 0; cpu < CPUMASK_BITS; cpu++)
		if (cpumask_has(&topo->present, cpu) || cpumask_has(&topo->online, cpu))
			fill_cpu(topo, cpu, &host->cpus[nr++]);
	host->info.nr_cpus = nr;
	host->info.nr_spes = (u32)topo->nr_spus;
	return 0;
}

/* ---- The process --------------------------------------------------------------- */

static void read_limit(int resource, uint64_t *soft, uint64_t *hard)
{
	struct rlimit r = { RLIM_INFINITY, RLIM_INFINITY };

	getrlimit(resource, &r);
	*soft = r.rlim_cur == RLIM_INFINITY ? UINT64_MAX : r.rlim_cur;
	*hard = r.rlim_max == RLIM_INFINITY ? UINT64_MAX : r.rlim_max;
}

/* False: there is no such file, as on kernels without that. */
static bool sysctl_is(const char *path, char digit)
{
	FILE *f = fopen(path, "re");
	bool is = f && fgetc(f) == digit;

	if (f)
		fclose(f);
	return is;
}

/* What upstream, Debian and Ubuntu keep them from somebody by. */
static bool may_make_namespaces(void)
{
	if (sysctl_is("/proc/sys/user/max_user_namespaces", '0'))
		return false;
	return !geteuid() || (!sysctl_is("/proc/sys/kernel/unprivileged_userns_clone", '0') &&
			      !sysctl_is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1'));
}

static void read_process(struct vmm_host_info *info)
{
	struct utsname u;

	if (!uname(&u)) {
		snprintf(info->kernel, sizeof(info->kernel), "%s", u.release);
		snprintf(info->machine, sizeof(info->machine), "%.*s",
			 (int)sizeof(info->machine) - 1, u.machine);
	}
	read_limit(RLIMIT_MEMLOCK, &info->memlock, &info->memlock_max);
	read_limit(RLIMIT_NOFILE, &info->nofile, &info->nofile_max);
	info->seccomp = sandbox_possible();
	info->landlock = (u32)landlock_version();
	info->userns = may_make_namespaces();
	info->io_uring = loop_ring_possible();
}

/* ---- KVM ------------------------------------------------------------------------ */

static int create_vm(struct kvm *kvm, struct vmm_host_info *info, struct vmm_error *err)
{
	int limit = kvm_check_extension(kvm, KVM_CAP_ARM_VM_IPA_SIZE);
	int ret;

	if (limit < 0)
		return error_sys(err, limit, "KVM: its capabilities");
	info->ipa_bits = limit ? (u32)limit : IPA_BITS_OLD;
	ret = kvm_create_vm(kvm, limit ? KVM_VM_TYPE_ARM_IPA_SIZE(IPA_BITS_MIN) : 0);
	return ret ? error_sys(err, ret, "KVM: creating a VM") : 0;
}

static int test_irqchips(const struct kvm *kvm, struct vmm_host_info *info, struct vmm_error *err)
{
	static const struct {
		enum vmm_irqchip	chip;
		u32			type;
	} kinds[] = {
		{ VMM_IRQCHIP_GICV2, KVM_DEV_TYPE_ARM_VGIC_V2 },
		{ VMM_IRQCHIP_GICV3, KVM_DEV_TYPE_ARM_VGIC_V3 },
		{ VMM_IRQCHIP_GICV3_ITS, KVM_DEV_TYPE_ARM_VGIC_ITS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int ret = kvm_test_device(kvm, kinds[i].type);

		if (!ret)
			info->irqchips |= 1ull << kinds[i].chip;
		else if (ret != -ENODEV)
			return error_sys(err, ret, "KVM: its interrupt controllers");
	}
	if (info->irqchips)
		return 0;
	return error_set(err, -ENOTSUP, "KVM: it has no GIC, so on this machine, %.20s, it is not for arm64 guests",
			 *info->machine ? info->machine : "unnamed");
}

static bool mappable(int flags)
{
	const int want = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED;

	return (flags & want) == want;
}

static int read_capabilities(const struct kvm *kvm, struct vmm_host_info *info,
			     struct vmm_error *err)
{
	static const struct {
		u64		feature;
		unsigned int	cap;
	} table[] = {
		{ VMM_HOST_PMU, KVM_CAP_ARM_PMU_V3 },
		{ VMM_HOST_SVE, KVM_CAP_ARM_SVE },
		{ VMM_HOST_PAUTH, KVM_CAP_ARM_PTRAUTH_ADDRESS },
		{ VMM_HOST_MTE, KVM_CAP_ARM_MTE },
		{ VMM_HOST_PVTIME, KVM_CAP_STEAL_TIME },
		{ VMM_HOST_NESTED, KVM_CAP_ARM_EL2 },
		{ VMM_HOST_E2H0, KVM_CAP_ARM_EL2_E2H0 },
		{ VMM_HOST_COUNTER_OFFSET, KVM_CAP_COUNTER_OFFSET },
		{ VMM_HOST_AARCH32, KVM_CAP_ARM_EL1_32BIT },
		{ VMM_HOST_GUEST_MEMFD, KVM_CAP_GUEST_MEMFD_FLAGS },
		{ VMM_HOST_PRE_FAULT, KVM_CAP_PRE_FAULT_MEMORY },
	};
	int ret = kvm_check_extension(kvm, KVM_CAP_MAX_VCPUS);

	if (ret > 0)
		info->max_vcpus = (u32)ret;
	for (size_t i = 0; i < ARRAY_SIZE(table) && ret >= 0; i++) {
		ret = kvm_check_extension(kvm, table[i].cap);
		if (table[i].feature == VMM_HOST_GUEST_MEMFD ? ret > 0 && mappable(ret) : ret > 0)
			info->features |= table[i].feature;
	}
	return ret < 0 ? error_sys(err, ret, "KVM: its capabilities") : 0;
}

static int ask_kvm(struct kvm *kvm, int fd, struct vmm_host_info *info, struct vmm_error *err)
{
	int ret = kvm_open(kvm, fd);

	if (ret)
		return kvm_explain(ret, err);
	info->kvm_version = KVM_API_VERSION;
	ret = create_vm(kvm, info, err);
	if (!ret)
		ret = test_irqchips(kvm, info, err);
	if (!ret)
		ret = read_capabilities(kvm, info, err);
	kvm_destroy_vm(kvm);
	if (ret) {
		/* Half an answer is none. */
		info->ipa_bits = info->max_vcpus = 0;
		info->irqchips = info->features = 0;
	}
	return ret;
}

/* ---- The verdict ------------------------------------------------------------------ */

struct probe {
	struct spe		*spe;
	const struct kvm	*kvm;
	struct vmm_error	*err;
	int			ret;
};

static void *probe_thread(void *arg)
{
	struct probe *p = arg;

	p->ret = cpumask_set_affinity(spe_cpus(p->spe));
	if (p->ret)
		error_sys(p->err, p->ret, "SPE: going to the CPUs of %s", spe_instance(p->spe));
	else
		p->ret = spe_probe(p->spe, p->kvm, p->err);
	return NULL;
}

/* What KVM answers depends on the CPU; the caller's affinity is its own. */
static int probe(struct spe *spe, const struct kvm *kvm, struct vmm_error *err)
{
	struct probe p = { .spe = spe, .kvm = kvm, .err = err };
	pthread_t thread;
	sigset_t all;
	sigset_t old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&thread, NULL, probe_thread, &p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		return error_sys(err, -ret, "SPE: a thread to ask KVM");
	pthread_join(thread, NULL);
	return p.ret;
}

/* It will do, and still take something of the one who starts the guest. */
static void mention_limit(const struct spe *spe, struct vmm_host_verdict *v)
{
	struct spe_limit limit;

	/* Any RAM is larger than a page. */
	if (!spe_needs(spe, KIB(4), &limit) || limit.have == (u64)RLIM_INFINITY)
		return;
	snprintf(v->why, sizeof(v->why),
		 "SPE: %s, %llu KiB now, must cover the guest's RAM unless the process has CAP_IPC_LOCK",
		 limit.name, (unsigned long long)limit.have >> 10);
}

static int judge(struct vmm_host *host, const struct kvm *kvm, const struct vmm_spe_config *cfg,
		 struct vmm_error *why)
{
	const struct spe_config spe_cfg = {
		.instance = cfg->instance,
		.abi = cfg->abi,
		.abi_text = cfg->abi_text,
		.buffer_max = cfg->buffer_max,
	};
	struct vmm_host_verdict *v = &host->verdict;
	struct cpumask cpus;
	struct spe *spe;
	int ret = spe_create(&spe, &spe_cfg, host->topo, &host->topo->process, why);

	if (ret)
		return ret;
	cpumask_and(&cpus, spe_cpus(spe), &host->topo->process);
	cpumask_format(&cpus, v->cpus, sizeof(v->cpus));
	snprintf(v->instance, sizeof(v->instance), "%s", spe_instance(spe));
	if (host->info.kvm_error)
		ret = error_set(why, host->info.kvm_error, "%s", host->info.kvm_why);
	else
		ret = probe(spe, kvm, why);
	if (!ret) {
		snprintf(v->abi, sizeof(v->abi), "%s", spe_abi(spe)->name);
		mention_limit(spe, v);
	}
	spe_destroy(spe);
	return ret;
}

/* ---- Calls --------------------------------------------------------------------------- */

void vmm_host_close(struct vmm_host *host)
{
	KEEP_ERRNO();

	if (!host)
		return;
	topology_destroy(host->topo);
	free(host->cpus);
	free(host);
}

static int check(struct vmm_host_config *cfg, struct vmm_spe_config *spe,
		 const struct vmm_host_config *user, struct vmm_error *err)
{
	int ret = config_copy(cfg, sizeof(*cfg), user, err);

	if (!ret)
		ret = config_flags(cfg->flags, VMM_HOST_F_KVM_FD, err);
	if (!ret)
		ret = config_reserved((u64)cfg->reserved, err);
	*spe = (struct vmm_spe_config)VMM_SPE_CONFIG_INIT;
	if (!ret && cfg->spe)
		ret = config_copy(spe, sizeof(*spe), cfg->spe, err);
	if (!ret)
		ret = config_flags(spe->flags, VMM_SPE_F_OPTIONAL, err);
	if (!ret && spe->abi && spe->abi_text)
		ret = error_set(err, -EINVAL,
				"SPE: its kernel interface by name and by description");
	return ret;
}

static int look(struct vmm_host *host, const struct vmm_host_config *cfg,
		const struct vmm_spe_config *spe, struct kvm *kvm, struct vmm_error *err)
{
	struct vmm_error why = { "" };
	int fd = -1;
	int ret = topology_read(&host->topo, cfg->sysfs, err);

	if (!ret)
		ret = list_cpus(host, err);
	if (ret)
		return ret;
	if (cfg->flags & VMM_HOST_F_KVM_FD) {
		fd = fd_dup(cfg->kvm_fd);
		if (fd < 0)
			return error_sys(err, fd, "KVM: descriptor %d", cfg->kvm_fd);
	}
	read_process(&host->info);
	host->info.kvm_error = ask_kvm(kvm, fd, &host->info, &why);
	snprintf(host->info.kvm_why, sizeof(host->info.kvm_why), "%s", why.msg);
	why.msg[0] = '\0';
	host->verdict.error = judge(host, kvm, spe, &why);
	if (host->verdict.error)
		snprintf(host->verdict.why, sizeof(host->verdict.why), "%s", why.msg);
	return 0;
}

int hostinfo_open(struct vmm_host **out, const struct vmm_host_config *user,
		  const struct kvm_ops *ops, void *ctx, struct vmm_error *err)
{
	struct vmm_host_config cfg;
	struct vmm_spe_config spe;
	struct vmm_host *host;
	struct kvm kvm;
	int ret = check(&cfg, &spe, user, err);

	if (ret)
		return ret;
	host = calloc(1, sizeof(*host));
	if (!host)
		return error_set(err, -ENOMEM, "host: no memory");
	kvm_init(&kvm, ops, ctx);
	ret = look(host, &cfg, &spe, &kvm, err);
	kvm_close(&kvm);
	if (ret)
		vmm_host_close(host);
	else
		*out = host;
	return ret;
}

int vmm_host_open(struct vmm_host **host, const struct vmm_host_config *cfg, struct vmm_error *err)
{
	KEEP_ERRNO();

	return hostinfo_open(host, cfg, &kvm_linux_ops, NULL, err);
}

int vmm_host_info(const struct vmm_host *host, struct vmm_host_info *info)
{
	return config_fill(info, &host->info, sizeof(host->info));
}

int vmm_host_verdict(const struct vmm_host *host, struct vmm_host_verdict *verdict)
{
	return config_fill(verdict, &host->verdict, sizeof(host->verdict));
}

int vmm_host_cpu(const struct vmm_host *host, uint32_t index, struct vmm_host_cpu *cpu)
{
	if (index >= host->info.nr_cpus)
		return -ENOENT;
	return config_fill(cpu, &host->cpus[index], sizeof(*cpu));
}

int vmm_host_spe(const struct vmm_host *host, uint32_t index, struct vmm_host_spe *out)
{
	_Static_assert(VMM_HOST_SPE_MAX_BUFF_SIZE == 1u << SPU_MAX_BUFF_SIZE &&
		       VMM_HOST_SPE_ARCH_INST == 1u << SPU_ARCH_INST, "the same bits");
	const struct spu *spu;
	struct vmm_host_spe spe;

	if (index >= host->topo->nr_spus)
		return -ENOENT;
	spu = &host->topo->spus[index];
	spe = (struct vmm_host_spe){
		.type = spu->dev.type,
		.known = spu->caps,
		.arch_inst = spu->cap[SPU_ARCH_INST],
		.count_size = spu->cap[SPU_COUNT_SIZE],
		.ernd = spu->cap[SPU_ERND],
		.min_interval = spu->cap[SPU_MIN_INTERVAL],
		.event_filter = spu->cap[SPU_EVENT_FILTER],
		.max_buff_size = spu->cap[SPU_MAX_BUFF_SIZE],
	};
	snprintf(spe.name, sizeof(spe.name), "%s", spu->dev.name);
	if (!spu->dev.usable)
		snprintf(spe.reason, sizeof(spe.reason), "%s", spu->dev.reason);
	cpumask_format(&spu->dev.cpus, spe.cpus, sizeof(spe.cpus));
	return config_fill(out, &spe, sizeof(spe));
}
