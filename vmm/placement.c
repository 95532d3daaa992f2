/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * placement.c - which host CPUs a vCPU may run on, and why
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/error.h"
#include "vmm/placement.h"

#define LIST_TEXT	80		/* of a CPU list in a message */

/* In a sentence, and in brackets behind a list. */
static const char *const reasons[][2] = {
	[PLACE_PROCESS] = { "the affinity of this process", "process" },
	[PLACE_USER] = { "the CPUs asked for", "user" },
	[PLACE_PMU] = { "PMU", "PMU" },
	[PLACE_SPE] = { "SPE", "SPE" },
};
_Static_assert(ARRAY_SIZE(reasons) == PLACE_REASONS, "a name for each reason");

void placement_fini(struct placement *p)
{
	free(p->list);
	*p = (struct placement){ 0 };
}

static struct constraint *find(struct placement *p, enum placement_reason reason, u32 vcpu)
{
	for (size_t i = 0; i < p->nr; i++)
		if (p->list[i].reason == reason && p->list[i].vcpu == vcpu)
			return &p->list[i];
	return NULL;
}

int placement_set(struct placement *p, enum placement_reason reason, u32 vcpu,
		  const char *name, const struct cpumask *cpus)
{
	struct constraint *c = find(p, reason, vcpu);

	if (!c) {
		c = realloc(p->list, (p->nr + 1) * sizeof(*c));
		if (!c)
			return -ENOMEM;
		p->list = c;
		c += p->nr++;
	}
	*c = (struct constraint){ .reason = reason, .vcpu = vcpu, .cpus = *cpus };
	snprintf(c->name, sizeof(c->name), "%s", name);
	return 0;
}

void placement_remove(struct placement *p, enum placement_reason reason)
{
	size_t nr = 0;

	for (size_t i = 0; i < p->nr; i++)
		if (p->list[i].reason != reason)
			p->list[nr++] = p->list[i];
	p->nr = nr;
}

/* One CPU list of the user's, of @len characters. */
static int add_list(struct placement *p, u32 vcpu, const char *text, size_t len,
		    struct vmm_error *err)
{
	struct cpumask cpus;
	int ret = cpumask_parse(&cpus, text, len);

	if (!ret && cpumask_empty(&cpus))
		ret = -EINVAL;
	if (ret)
		return error_set(err, -EINVAL, "CPU list '%.*s': %s", (int)len, text,
				 ret == -ERANGE ? "no Linux host has that many CPUs"
						: "not of the form 0-3,8");
	if (placement_set(p, PLACE_USER, vcpu, "", &cpus))
		return error_set(err, -ENOMEM, "placement: no memory");
	return 0;
}

int placement_add_user(struct placement *p, const char *text, u32 nr_vcpus,
		       struct vmm_error *err)
{
	if (!strchr(text, '='))
		return add_list(p, PLACE_ALL, text, strlen(text), err);

	for (;;) {
		const char *end = strchrnul(text, ':');
		char *list;
		unsigned long vcpu = strtoul(text, &list, 10);
		int ret;

		if (*text < '0' || *text > '9' || *list != '=')
			return error_set(err, -EINVAL, "CPU list '%.*s': not of the form VCPU=0-3,8",
					 (int)(end - text), text);
		if (vcpu >= nr_vcpus)
			return error_set(err, -EINVAL, "CPU list '%.*s': there is no vCPU %lu",
					 (int)(end - text), text, vcpu);
		if (find(p, PLACE_USER, (u32)vcpu))
			return error_set(err, -EINVAL, "CPU list '%.*s': vCPU %lu has one already",
					 (int)(end - text), text, vcpu);
		list++;
		ret = add_list(p, (u32)vcpu, list, (size_t)(end - list), err);
		if (ret)
			return ret;
		if (!*end)
			return 0;
		text = end + 1;
	}
}

static bool applies(const struct constraint *c, u32 vcpu)
{
	return c->vcpu == PLACE_ALL || c->vcpu == vcpu;
}

static int exclusive(u32 vcpu, const struct constraint *a, const struct constraint *b,
		     struct vmm_error *err)
{
	const char *who[] = { reasons[a->reason][0], reasons[b->reason][0] };
	char lists[2][LIST_TEXT];
	char subject[24] = "placement";

	if (vcpu != PLACE_ALL)
		snprintf(subject, sizeof(subject), "vCPU %u", vcpu);
	return error_set(err, -ENOTSUP, "%s: no CPU is both in %s%s%s (%s) and in %s%s%s (%s)",
			 subject, who[0], *a->name ? " " : "", a->name,
			 cpumask_format(&a->cpus, lists[0], LIST_TEXT),
			 who[1], *b->name ? " " : "", b->name,
			 cpumask_format(&b->cpus, lists[1], LIST_TEXT));
}

/* Name the two that exclude one another, or say that it takes them all. */
static int explain(const struct placement *p, u32 vcpu, struct vmm_error *err)
{
	for (size_t i = 0; i < p->nr; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct constraint *ci = &p->list[i];
			const struct constraint *cj = &p->list[j];
			struct cpumask both;

			cpumask_and(&both, &ci->cpus, &cj->cpus);
			if (applies(ci, vcpu) && applies(cj, vcpu) && cpumask_empty(&both))
				return exclusive(vcpu, cj, ci, err);
		}
	}
	return error_set(err, -ENOTSUP, "vCPU %u: no CPU meets all of its constraints", vcpu);
}

void placement_allows(const struct placement *p, u32 vcpu, enum placement_reason reason,
		      struct cpumask *cpus)
{
	memset(cpus, 0xff, sizeof(*cpus));
	for (size_t i = 0; i < p->nr; i++)
		if (applies(&p->list[i], vcpu) && p->list[i].reason != reason)
			cpumask_and(cpus, cpus, &p->list[i].cpus);
}

int placement_resolve(const struct placement *p, u32 vcpu, struct cpumask *cpus,
		      struct vmm_error *err)
{
	placement_allows(p, vcpu, PLACE_REASONS, cpus);
	return cpumask_empty(cpus) ? explain(p, vcpu, err) : 0;
}

bool placement_binds(const struct placement *p, u32 vcpu)
{
	for (size_t i = 0; i < p->nr; i++)
		if (applies(&p->list[i], vcpu) && p->list[i].reason != PLACE_PROCESS)
			return true;
	return false;
}

const char *placement_describe(const struct placement *p, u32 vcpu, char *buf, size_t size)
{
	const char *sep = " (";
	struct cpumask cpus;
	size_t len;

	if (!placement_binds(p, vcpu) || placement_resolve(p, vcpu, &cpus, NULL)) {
		snprintf(buf, size, "any");
		return buf;
	}
	cpumask_format(&cpus, buf, size);
	len = strlen(buf);
	for (size_t i = 0; i < p->nr && len < size; i++) {
		const struct constraint *c = &p->list[i];

		if (!applies(c, vcpu) || c->reason == PLACE_PROCESS)
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s%s%s", sep,
					reasons[c->reason][1], *c->name ? " " : "", c->name);
		sep = ", ";
	}
	if (len < size)
		snprintf(buf + len, size - len, ")");
	return buf;
}
