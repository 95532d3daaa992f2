# SPDX-License-Identifier: BSD-2-Clause
#
# make            the library and the program for arm64 (cross-built on other machines)
# make deps       install the Debian packages that building and testing need
# make check      every test      make check-unit     those that take seconds
# make demo       perf with SPE in a guest, on an emulated host if need be
# make bench      what a guest costs under vmm and under QEMU, in instructions
# make install    DESTDIR= PREFIX=/usr/local
# make help       all targets and variables

VERSION := 0.1
SOVERSION := 0

MACHINE := $(shell uname -m)
B ?= build
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system
# make TOOLCHAIN=clang builds with clang; SHARED=1 has the program use libvmm.so;
# WERROR=1 makes warnings errors.  KVM_UAPI=DIR, after make clean, builds for a kernel with
# more than others have: DIR is the include folder of its make headers_install.
TOOLCHAIN ?= gcc
WERROR ?= $(if $(CI),1)
V ?=
Q := $(if $(V),,@)

comma := ,
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

LIB_SRC := $(sort $(wildcard vmm/*.c arm64/*.c devices/*.c spe/*.c fdt/*.c))
CLI_SRC := $(sort $(wildcard vmm/cli/*.c))
MAN := $(sort $(wildcard man/*.[1-8]))

CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wpointer-arith -Wwrite-strings -Wundef $(if $(WERROR),-Werror)
COMMON := -std=gnu11 -D_GNU_SOURCE -Iinclude -I. -I$(B)/gen $(WARN) -fvisibility=hidden -fPIC \
	-fno-common -ffile-prefix-map=$(CURDIR)=.
# clang has no protection against stack clashes on arm64.
HARDEN := -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 \
	$(if $(filter clang,$(TOOLCHAIN)),,-fstack-clash-protection)
HARDEN_LD := -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--build-id=none
LIBS := -lfdt -luring -lz -lzstd
CLI_LIBS := -ljansson

# ---- Variants: arm64 is the product; the others run the unit tests ----------
#
# Each has CC, flags, and a folder below $(B).  Where the machine is no arm64,
# "native" sees the arm64 KVM interface through four header files laid over the
# machine's own.

ifeq ($(MACHINE),aarch64)
arm64_CC := $(TOOLCHAIN)
arm64_TOOLS :=
arm64_SYSROOT :=
else
CROSS := aarch64-linux-gnu-
arm64_TOOLS := $(CROSS)
arm64_SYSROOT := $(B)/sysroot
arm64_CC := $(if $(filter clang,$(TOOLCHAIN)),clang --target=aarch64-linux-gnu,$(CROSS)gcc)
arm64_CPPFLAGS := -isystem $(arm64_SYSROOT)/usr/include
arm64_LDFLAGS := -L$(arm64_SYSROOT)/usr/lib/aarch64-linux-gnu \
	-Wl,-rpath-link,$(arm64_SYSROOT)/usr/lib/aarch64-linux-gnu:$(arm64_SYSROOT)/lib/aarch64-linux-gnu
arm64_DEPS := $(arm64_SYSROOT)/.debfetch
UAPI := $(B)/uapi
UAPI_FROM := /usr/aarch64-linux-gnu/include/asm
UAPI_STAMP := $(UAPI)/asm/kvm.h
UAPI_FLAGS := -isystem $(UAPI)
endif
ifneq ($(KVM_UAPI),)
$(if $(wildcard $(KVM_UAPI)/linux/kvm.h),,$(error KVM_UAPI: there is no $(KVM_UAPI)/linux/kvm.h))
arm64_CPPFLAGS := -isystem $(KVM_UAPI) $(arm64_CPPFLAGS)
endif
arm64_CFLAGS := $(CFLAGS) $(HARDEN) -mbranch-protection=standard -DNDEBUG

native_CC := $(TOOLCHAIN)
native_CFLAGS := $(CFLAGS) $(HARDEN)
asan_CC := $(TOOLCHAIN)
asan_CFLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
tsan_CC := $(TOOLCHAIN)
tsan_CFLAGS := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
fuzz_CC := clang
fuzz_CFLAGS := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer

.PHONY: all deps check check-unit check-sanitizers check-builds check-fuzz check-cbmc check-nested demo install clean help FORCE
all: $(B)/arm64/vmm $(B)/arm64/libvmm.a $(B)/arm64/libvmm.so $(B)/arm64/libvmm.pc \
	$(B)/arm64/vmm@.service

help:
	@sed -n '3,10s/^# \{0,1\}//p' Makefile
	@echo "variables: B=$(B) TOOLCHAIN=$(TOOLCHAIN) WERROR= V=1 KVM_UAPI= CFLAGS='$(CFLAGS)'"

# ---- Rules for one variant --------------------------------------------------

define variant
$(1)_LIB_OBJ := $$(LIB_SRC:%.c=$$(B)/$(1)/obj/%.o)
$(1)_CLI_OBJ := $$(CLI_SRC:%.c=$$(B)/$(1)/obj/%.o)

$$(B)/$(1)/obj/%.o: %.c $$($(1)_DEPS) $(if $(filter arm64,$(1)),,$$(UAPI_STAMP)) Makefile
	$$(Q)mkdir -p $$(@D)
	$$(if $$(V),,@echo "  CC $(1)  $$<")
	$$(Q)$$($(1)_CC) $$(COMMON) $$($(1)_CPPFLAGS) $(if $(filter arm64,$(1)),,$$(UAPI_FLAGS)) \
		$$($(1)_CFLAGS) -MMD -MP -c -o $$@ $$<

$$(B)/$(1)/vmm: $$($(1)_CLI_OBJ) $$($(1)_LIBVMM)
	$$(if $$(V),,@echo "  LD $(1)  $$@")
	$$(Q)$$($(1)_CC) $$($(1)_CFLAGS) $$($(1)_LDFLAGS) $$(HARDEN_LD) $$($(1)_LINK) \
		-o $$@ $$^ $$(LIBS) $$(CLI_LIBS)

$$(B)/$(1)/obj/vmm/sandbox.o: $$(B)/gen/vmm/sandbox_filters.h

-include $$($(1)_LIB_OBJ:.o=.d) $$($(1)_CLI_OBJ:.o=.d)
endef
HOST_VARIANTS := native asan tsan fuzz
$(foreach v,arm64 $(HOST_VARIANTS),$(eval $(v)_LIBVMM := $(B)/$(v)/libvmm.a))
# The program needs nothing of the machine it runs on, unless SHARED=1, as packages
# want it.
arm64_LINK := $(if $(SHARED),-pie -Wl$(comma)--as-needed,-static-pie)
ifdef SHARED
arm64_LIBVMM := $(B)/arm64/libvmm.so
endif
$(foreach v,arm64 $(HOST_VARIANTS),$(eval $(call variant,$(v))))

# The sandbox's filters, made on this machine for every architecture.
HOSTCC ?= cc
$(B)/gen/mkfilters: tools/mkfilters.c vmm/sandbox_table.h
	$(Q)mkdir -p $(@D)
	$(if $(V),,@echo "  HOSTCC  $<")
	$(Q)$(HOSTCC) -std=gnu11 -O1 $(WARN) -I. -o $@ $< -lseccomp
$(B)/gen/vmm/sandbox_filters.h: $(B)/gen/mkfilters
	$(Q)mkdir -p $(@D)
	$(Q)$< >$@

# One object, in which nothing but vmm_* can be seen from outside.
$(B)/arm64/libvmm.a: $(arm64_LIB_OBJ)
	$(if $(V),,@echo "  AR arm64  $@")
	$(Q)rm -f $@
	$(Q)$(arm64_TOOLS)ld -r -o $(B)/arm64/libvmm.o $^
	$(Q)$(arm64_TOOLS)objcopy --localize-hidden $(B)/arm64/libvmm.o
	$(Q)$(arm64_TOOLS)ar rcD $@ $(B)/arm64/libvmm.o

# The tests look behind the interface, so theirs is an ordinary archive.
$(foreach v,$(HOST_VARIANTS),$(B)/$(v)/libvmm.a): $(B)/%/libvmm.a:
	$(Q)rm -f $@
	$(Q)ar rcD $@ $(filter %.o,$^)
$(foreach v,$(HOST_VARIANTS),$(eval $(B)/$(v)/libvmm.a: $($(v)_LIB_OBJ)))

$(B)/arm64/libvmm.so.$(VERSION): $(arm64_LIB_OBJ) libvmm.map
	$(if $(V),,@echo "  LD arm64  $@")
	$(Q)$(arm64_CC) $(arm64_CFLAGS) $(arm64_LDFLAGS) $(HARDEN_LD) -shared \
		-Wl,-soname,libvmm.so.$(SOVERSION) -Wl,--version-script=libvmm.map -Wl,--no-undefined \
		-o $@ $(arm64_LIB_OBJ) $(LIBS) -lpthread

$(B)/arm64/libvmm.so: $(B)/arm64/libvmm.so.$(VERSION)
	$(Q)ln -sf libvmm.so.$(VERSION) $(B)/arm64/libvmm.so.$(SOVERSION)
	$(Q)ln -sf libvmm.so.$(SOVERSION) $@

$(B)/arm64/vmm@.service: vmm/cli/vmm@.service.in Makefile
	$(Q)mkdir -p $(@D)
	$(Q)sed -e 's|@BINDIR@|$(BINDIR)|' $< > $@

$(B)/arm64/libvmm.pc: libvmm.pc.in Makefile
	$(Q)mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' $< > $@

ifneq ($(MACHINE),aarch64)
SYSROOT_PACKAGES := libfdt-dev libfdt1 liburing-dev liburing2 zlib1g-dev zlib1g libzstd-dev libzstd1 \
	libjansson-dev libjansson4
SUITE := $(shell . /etc/os-release 2>/dev/null; echo $${VERSION_CODENAME:-bookworm})

# Written only if it is another one than last time.
$(B)/sysroot.list: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo "$(SYSROOT_PACKAGES)" | cmp -s - $@ || echo "$(SYSROOT_PACKAGES)" >$@
FORCE:

$(arm64_SYSROOT)/.debfetch: tools/debfetch $(B)/sysroot.list
	$(Q)tools/debfetch -a arm64 -s $(SUITE) -d $(arm64_SYSROOT) $(SYSROOT_PACKAGES)
	$(Q)touch $@

$(UAPI_STAMP): $(UAPI_FROM)/kvm.h
	$(Q)mkdir -p $(UAPI)/asm
	$(Q)cp $(addprefix $(UAPI_FROM)/,ptrace.h sve_context.h hwcap.h kvm.h) $(UAPI)/asm/
	$(Q)touch $@
endif

# ---- What it takes -----------------------------------------------------------

DEPS_BUILD := gcc libc6-dev linux-libc-dev libfdt-dev liburing-dev zlib1g-dev libzstd-dev \
	libjansson-dev libseccomp-dev
DEPS_TEST := ccache g++ clang libclang-rt-dev libcmocka-dev mandoc cpio gzip zstd xz-utils \
	device-tree-compiler diod qemu-system-arm dpkg-dev debhelper lintian
ifneq ($(MACHINE),aarch64)
DEPS_BUILD += gcc-aarch64-linux-gnu libc6-dev-arm64-cross debian-archive-keyring
else
DEPS_TEST += iproute2
endif

# Asks for root only if something is missing.
deps:
	@missing=$$(for p in $(DEPS_BUILD) $(DEPS_TEST); do \
		dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || echo $$p; \
	done | xargs); \
	[ -z "$$missing" ] && exit 0; \
	echo "installing: $$missing"; \
	as_root=; \
	if [ "$$(id -u)" != 0 ]; then \
		command -v sudo >/dev/null || { \
			echo "make deps: run as root: apt-get install $$missing" >&2; exit 1; }; \
		as_root=sudo; \
	fi; \
	$$as_root apt-get update -q && \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) \
		$(DESTDIR)$(COMPLETIONDIR) $(DESTDIR)$(UNITDIR)
	install -m 755 $(B)/arm64/vmm $(DESTDIR)$(BINDIR)/vmm
	install -m 644 include/vmm.h $(DESTDIR)$(INCLUDEDIR)/vmm.h
	install -m 644 $(B)/arm64/libvmm.a $(DESTDIR)$(LIBDIR)/libvmm.a
	install -m 755 $(B)/arm64/libvmm.so.$(VERSION) $(DESTDIR)$(LIBDIR)/
	ln -sf libvmm.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libvmm.so.$(SOVERSION)
	ln -sf libvmm.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libvmm.so
	install -m 644 $(B)/arm64/libvmm.pc $(DESTDIR)$(LIBDIR)/pkgconfig/libvmm.pc
	install -m 644 vmm/cli/vmm.bash-completion $(DESTDIR)$(COMPLETIONDIR)/vmm
	install -m 644 $(B)/arm64/vmm@.service $(DESTDIR)$(UNITDIR)/vmm@.service
	for page in $(MAN); do \
		dir=$(DESTDIR)$(MANDIR)/man$${page##*.}; \
		install -d $$dir && install -m 644 $$page $$dir/ || exit 1; \
	done

clean:
	rm -rf $(B)

# ---- Unit tests ---------------------------------------------------------------
#
# tests/unit/test_*.c is one program each, built in every variant; what else is in
# the folder they share, and what programs in guests have of their own to be tested.
# UNIT_FAULTY see the library with the calls that can fail renamed (t_malloc for malloc), so
# that they can make each fail; test_softring has those of I/O that it renames itself, and
# UNIT_PROGRAM the program's as well, whose vmm_create() is the test's.
#
#	make check-unit			all of it, as it is
#	make check-unit UNIT=test_vm	programs whose names begin so
#	make check-sanitizers		the programs again, under the sanitizers

# What fuzzing starts from is seen each time.
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_NAMES := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=%)
native_FUZZ := $(FUZZ_NAMES:%=$(B)/native/fuzz/replay-%)
FUZZ_REPLAY := $(foreach f,$(FUZZ_NAMES),"$(B)/native/fuzz/replay-$(f) tests/fuzz/corpus/$(f)")

UNIT ?=
UNIT_VARIANTS ?= native
# Most of them wait for most of their time.
UNIT_JOBS ?= $(shell echo $$(($$(nproc) * 3)))
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_HELP_SRC := $(filter-out $(UNIT_SRC),$(sort $(wildcard tests/unit/*.c))) tests/testbed/spe_record.c
UNIT_PROGRAM := test_run_faults
UNIT_FAULTY := test_sweep test_repin test_hostinfo test_blk_faults test_loop_faults $(UNIT_PROGRAM)
UNIT_SOFT := test_softring
UNIT_SOFT_FAULTS := malloc calloc eventfd timerfd_create timerfd_settime fstat epoll_create1 epoll_ctl \
	epoll_wait preadv2 pwritev2 readv writev fsync fdatasync fallocate recv send recvmsg sendmsg \
	pthread_create io_uring_queue_init_params
UNIT_FAULTS := malloc calloc realloc strdup mmap munmap eventfd timerfd_create timerfd_settime \
	fcntl fstat fstatfs pread pread64 sched_getaffinity sched_setaffinity pthread_create pthread_attr_init \
	pthread_attr_setstacksize io_uring_queue_init_params \
	io_uring_register io_uring_submit io_uring_submit_and_wait fdatasync fallocate pwritev2 pwritev pwrite \
	ioctl socket bind getsockopt sendmsg recv inotify_init1 memfd_create ftruncate lseek \
	epoll_create1 epoll_ctl
UNIT_PROGRAM_FAULTS := $(UNIT_FAULTS) vmm_create open fopen stat lstat mkdir fchmod flock pipe2 socketpair listen \
	connect send recvmsg write signalfd fork pidfd_open posix_spawnp

define unit_variant
$(1)_UNIT_OBJ := $$(UNIT_SRC:%.c=$$(B)/$(1)/obj/%.o) $$(UNIT_HELP_SRC:%.c=$$(B)/$(1)/obj/%.o)
$(1)_UNIT := $$(patsubst tests/unit/%.c,$$(B)/$(1)/unit/%,$$(UNIT_SRC))
.SECONDARY: $$($(1)_UNIT_OBJ)

$$(B)/$(1)/unit/libtest.a: $$(UNIT_HELP_SRC:%.c=$$(B)/$(1)/obj/%.o) \
		$$(filter-out %/main.o,$$($(1)_CLI_OBJ))
	$$(Q)mkdir -p $$(@D) && rm -f $$@ && ar rcD $$@ $$^

$$(B)/$(1)/unit/libvmm-faulty.a: $$(B)/$(1)/libvmm.a Makefile
	$$(Q)mkdir -p $$(@D)
	$$(Q)objcopy $$(foreach f,$$(UNIT_FAULTS),--redefine-sym $$(f)=t_$$(f)) $$< $$@

$$(B)/$(1)/unit/libvmm-soft.a: $$(B)/$(1)/libvmm.a Makefile
	$$(Q)mkdir -p $$(@D)
	$$(Q)objcopy $$(foreach f,$$(UNIT_SOFT_FAULTS),--redefine-sym $$(f)=t_$$(f)) $$< $$@

$$(B)/$(1)/unit/libcli-faulty.a: $$(filter-out %/main.o,$$($(1)_CLI_OBJ)) Makefile
	$$(Q)mkdir -p $$(@D) && rm -f $$@ $$@.plain && ar rcD $$@.plain $$(filter %.o,$$^)
	$$(Q)objcopy $$(foreach f,$$(UNIT_PROGRAM_FAULTS),--redefine-sym $$(f)=t_$$(f)) $$@.plain $$@

$$(filter $$(UNIT_PROGRAM:%=$$(B)/$(1)/unit/%),$$($(1)_UNIT)): $$(B)/$(1)/unit/%: $$(B)/$(1)/obj/tests/unit/%.o \
		$$(B)/$(1)/unit/libcli-faulty.a

$(1)_SOFT := $$(filter $$(UNIT_SOFT:%=$$(B)/$(1)/unit/%),$$($(1)_UNIT))
$$($(1)_SOFT): $$(B)/$(1)/unit/%: $$(B)/$(1)/obj/tests/unit/%.o \
		$$(B)/$(1)/unit/libtest.a $$(B)/$(1)/unit/libvmm-soft.a

$(1)_FAULTY := $$(filter $$(UNIT_FAULTY:%=$$(B)/$(1)/unit/%),$$($(1)_UNIT))
$$($(1)_FAULTY): $$(B)/$(1)/unit/%: $$(B)/$(1)/obj/tests/unit/%.o \
		$$(B)/$(1)/unit/libtest.a $$(B)/$(1)/unit/libvmm-faulty.a

$$(filter-out $$($(1)_FAULTY) $$($(1)_SOFT),$$($(1)_UNIT)): $$(B)/$(1)/unit/%: $$(B)/$(1)/obj/tests/unit/%.o \
		$$(B)/$(1)/unit/libtest.a $$(B)/$(1)/libvmm.a

$$($(1)_UNIT):
	$$(if $$(V),,@echo "  LD $(1)  $$@")
	$$(Q)$$($(1)_CC) $$($(1)_CFLAGS) -o $$@ $$^ -lcmocka $$(LIBS) $$(CLI_LIBS) -lpthread

-include $$($(1)_UNIT_OBJ:.o=.d)
endef
$(foreach v,$(HOST_VARIANTS),$(eval $(call unit_variant,$(v))))

# The whole program counts its threads, and TSan has one of its own that comes when it likes.
UNIT_ALL := $(filter-out $(UNIT_PROGRAM:%=$(B)/tsan/unit/%),$(foreach v,$(UNIT_VARIANTS), \
	$(filter $(B)/$(v)/unit/$(UNIT)%,$($(v)_UNIT))))
# The longest first, so that at the end nobody waits for one.
UNIT_LONG := %/test_hostile %/test_sweep %/test_diod_guest %/test_pl061 %/test_fsd %/test_image \
	%/test_virtio_blk %/test_run_faults
UNIT_CHECKS := $(if $(UNIT),, $(FUZZ_REPLAY) \
	"tests/unit/check-includes.sh" \
	"tests/unit/check-header.sh" \
	"tests/unit/check-hostile.sh" \
	"tests/unit/check-exports.sh $(B)/arm64 $(arm64_TOOLS)" \
	"tests/unit/check-calls.sh $(B)/arm64 $(arm64_TOOLS)" \
	"tests/unit/check-statics.sh $(B)/arm64 $(arm64_TOOLS)" \
	"tests/unit/check-link.sh $(B)/arm64 $(arm64_TOOLS) $(arm64_LDFLAGS)" \
	"tests/unit/check-options.sh $(B)/native/vmm" \
	"tests/unit/check-threads.sh $(B)/native/unit" \
	"tests/unit/check-service.sh $(B)/native/vmm" \
	"tests/unit/check-bench.sh" \
	"tests/unit/check-man.sh $(B)/arm64/libvmm.so")

check-unit: $(UNIT_ALL) $(if $(UNIT),,$(native_FUZZ) $(B)/native/bench/disk) $(if $(UNIT),,$(B)/arm64/vmm $(B)/arm64/libvmm.a $(B)/arm64/libvmm.so $(B)/native/vmm)
	@LOGS=$(B)/unit-logs tests/unit/run -j $(UNIT_JOBS) $(filter $(UNIT_LONG),$(UNIT_ALL)) \
		$(UNIT_CHECKS) $(filter-out $(UNIT_LONG),$(UNIT_ALL))

check-sanitizers:
	@$(MAKE) --no-print-directory check-unit UNIT_VARIANTS="asan tsan" UNIT=$(or $(UNIT),test_)

# The other compiler finds other mistakes; and what is built elsewhere is the same.
check-builds: $(B)/arm64/vmm $(B)/arm64/libvmm.a $(B)/arm64/libvmm.so
	@$(MAKE) --no-print-directory TOOLCHAIN=clang WERROR=1 B=$(B)/clang all
	@LOGS=$(B)/builds-logs tests/unit/run "tests/unit/check-reproducible.sh $(B)"

# ---- Fuzzing ------------------------------------------------------------------
#
# tests/fuzz/fuzz_*.c is one target each, which begins with the inputs of a folder of
# corpus/.  Built with clang, a fuzzer drives it; without, each input is replayed.
#
#	make check-fuzz			so many runs of each
#	make fuzz			for ever, in turn
#	make fuzz FUZZ=virtio		... one of them

FUZZ ?= $(FUZZ_NAMES)
.SECONDARY: $(foreach v,native fuzz,$(FUZZ_SRC:%.c=$(B)/$(v)/obj/%.o)) $(B)/native/obj/tests/fuzz/replay.o
-include $(foreach v,native fuzz,$(FUZZ_SRC:%.c=$(B)/$(v)/obj/%.d)) $(B)/native/obj/tests/fuzz/replay.d

$(B)/native/fuzz/replay-%: $(B)/native/obj/tests/fuzz/fuzz_%.o $(B)/native/obj/tests/fuzz/replay.o \
		$(B)/native/unit/libtest.a $(B)/native/libvmm.a
	$(if $(V),,@echo "  LD native  $@")
	$(Q)mkdir -p $(@D)
	$(Q)$(native_CC) $(native_CFLAGS) -o $@ $^ -lcmocka $(LIBS) $(CLI_LIBS) -lpthread

$(B)/fuzz/fuzz_%: $(B)/fuzz/obj/tests/fuzz/fuzz_%.o $(B)/fuzz/unit/libtest.a $(B)/fuzz/libvmm.a
	$(if $(V),,@echo "  LD fuzz  $@")
	$(Q)$(fuzz_CC) $(fuzz_CFLAGS) -fsanitize=fuzzer -o $@ $^ -lcmocka $(LIBS) $(CLI_LIBS) -lpthread

.PHONY: fuzz check-fuzz
check-fuzz: $(FUZZ_NAMES:%=$(B)/fuzz/fuzz_%)
	@BUILD=$(B) tests/fuzz/run check $(FUZZ)
fuzz: $(FUZZ_NAMES:%=$(B)/fuzz/fuzz_%)
	@BUILD=$(B) tests/fuzz/run forever $(FUZZ)

# ---- Model checking ------------------------------------------------------------
#
# tests/cbmc/*.c are proofs about rings and guest memory.  Debian has CBMC from 13 on; it is
# unpacked with the C library that it was built for.

.PHONY: check-cbmc
$(B)/cbmc/.debfetch: tools/debfetch
	$(Q)tools/debfetch -s trixie -d $(B)/cbmc -r 'lib*' -r minisat cbmc
	$(Q)touch $@
check-cbmc: $(B)/cbmc/.debfetch
	@tests/cbmc/run $(B)/cbmc

# ---- Debian's packages ------------------------------------------------------------

.PHONY: check-package
check-package:
	@BUILD=$(abspath $(B)) VERSION=$(VERSION) tests/package/run

# ---- Nested tests: real KVM in an emulated host, or on this one -----------------

.PHONY: bench bench-compare sanitized
# The program under sanitizers, which finds the C library in an emulated host that has none
# beside itself.
SANITIZED := $(B)/asan-arm64/arm64/vmm $(B)/tsan-arm64/arm64/vmm
asan_LINK := -static-libasan -static-libubsan
tsan_LINK := -static-libtsan
$(SANITIZED): $(B)/%-arm64/arm64/vmm: $(arm64_DEPS) FORCE
	@$(MAKE) --no-print-directory B=$(B)/$*-arm64 arm64_SYSROOT=$(arm64_SYSROOT) arm64_DEPS= \
		arm64_CFLAGS="$($*_CFLAGS)" LIBS="-l:libfdt.a -l:liburing.a -l:libz.a -l:libzstd.a" \
		CLI_LIBS=-l:libjansson.a arm64_LINK="-pie $($*_LINK) \
			$(if $(CROSS),-Wl$(comma)--dynamic-linker=/nest/$*/ld-linux-aarch64.so.1 \
				-Wl$(comma)-rpath$(comma)/nest/$*)" sanitized
sanitized: $(B)/arm64/vmm

check-nested: $(B)/arm64/vmm $(B)/arm64/embed $(B)/arm64/embed-shared $(B)/arm64/cycles $(B)/arm64/confined $(SANITIZED) $(FIRMWARE)
	@BUILD=$(abspath $(B)) tests/nested/run

# Nested tests are faster with the emulator that those of SPE have built, and see UEFI
# where that is built too.
check: deps
	@MAKE="$(MAKE)" FIRMWARE=uefi tests/check check-unit check-sanitizers check-builds check-fuzz check-cbmc check-package check-spe check-nested check-smoke

# What it costs, in instructions; BENCH=--json, see tests/nested/measure --help.  And what
# has changed between two builds, given as programs or as bench.json of theirs:
#	make bench-compare OLD=FILE NEW=FILE
# The kernel is one like that with which kvmtool's figures were recorded; built if it has to be.
bench: deps
	@case " $(BENCH)" in \
	*" --kernel "*) ;; \
	*) $(MAKE) --no-print-directory testbed TESTBED=kernelbench ;; \
	esac
	@$(MAKE) --no-print-directory $(B)/arm64/vmm $(B)/native/bench/disk
	@BUILD=$(abspath $(B)) tests/nested/measure $(BENCH)
$(B)/native/bench/%: tests/bench/%.c $(B)/native/unit/libtest.a $(B)/native/libvmm.a
	$(if $(V),,@echo "  LD native  $@")
	$(Q)mkdir -p $(@D)
	$(Q)$(native_CC) $(COMMON) $(native_CFLAGS) -o $@ $^ -lcmocka $(LIBS) $(CLI_LIBS) -lpthread
bench-compare:
	@BUILD=$(abspath $(B)) tests/nested/compare $(OLD) $(NEW)

# Where KVM has SPE for guests, right there; else on the test bed.
demo: deps
	@$(MAKE) --no-print-directory $(B)/arm64/vmm
	@if [ $(MACHINE) = aarch64 ] && $(B)/arm64/vmm host --spe >/dev/null 2>&1; then \
		BUILD=$(abspath $(B)) tests/demo/run native; \
	else \
		$(MAKE) --no-print-directory testbed-vmm && \
		BUILD=$(abspath $(B)) tests/demo/run emulated; \
	fi

# ---- The test bed: a host with SPE, emulated ------------------------------------
#
# See tests/testbed/README.md.

DEPS_TESTBED := acpica-tools bc bison flex libglib2.0-dev make mtools ninja-build patch pkg-config \
	python3-venv uuid-dev

.PHONY: testbed kernel64k uefi testbed-vmm check-spe
# All of it, or those of kernel, qemu, kernel64k, kernelbench and uefi that are named.
TESTBED ?=
testbed:
	@$(MAKE) --no-print-directory deps DEPS_BUILD="$(DEPS_BUILD) $(DEPS_TESTBED)"
	@tests/testbed/build $(TESTBED)

# A kernel with pages of 64 KiB, and firmware, that Debian has not; two builds at a time take no less time.
kernel64k: testbed
	@tests/testbed/build kernel64k
uefi:
	@$(MAKE) --no-print-directory testbed TESTBED=uefi

# Built against its kernel's headers.
testbed-vmm: testbed $(arm64_DEPS)
	@eval "$$(tests/testbed/build -p)" && $(MAKE) --no-print-directory B=$(B)/testbed-uapi \
		arm64_SYSROOT=$(arm64_SYSROOT) arm64_DEPS= \
		KVM_UAPI="$$TESTBED_UAPI" $(B)/testbed-uapi/arm64/vmm

# The other program knows the kernel's numbers from a file of the user's.
check-spe: testbed-vmm kernel64k $(B)/arm64/vmm
	@BUILD=$(abspath $(B)) tests/spe/run

# Debian's kernels and installers, as vmm smoke sees them: here if this machine has KVM.
.PHONY: check-smoke
check-smoke: $(B)/arm64/vmm $(shell [ $(MACHINE) = aarch64 ] && [ -w /dev/kvm ] || echo testbed kernel64k)
	@BUILD=$(abspath $(B)) tests/smoke/run

# ---- Programs that embed it: the example, against either form, and those for tests ---

$(B)/arm64/embed: examples/embed.c
$(B)/arm64/cycles: tests/nested/cycles.c
$(B)/arm64/confined: tests/nested/confined.c
$(B)/arm64/embed $(B)/arm64/cycles $(B)/arm64/confined: include/vmm.h $(B)/arm64/libvmm.a
	$(if $(V),,@echo "  LD arm64  $@")
	$(Q)$(arm64_CC) $(COMMON) $(arm64_CPPFLAGS) $(arm64_CFLAGS) $(arm64_LDFLAGS) -static-pie \
		-o $@ $(filter %.c,$^) $(B)/arm64/libvmm.a $(LIBS) -lpthread

$(B)/arm64/embed-shared: examples/embed.c include/vmm.h $(B)/arm64/libvmm.so
	$(if $(V),,@echo "  LD arm64  $@")
	$(Q)$(arm64_CC) $(COMMON) $(arm64_CPPFLAGS) $(arm64_CFLAGS) $(arm64_LDFLAGS) \
		-o $@ $< -L$(B)/arm64 -lvmm
