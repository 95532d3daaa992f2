/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cfi_flash.c - NOR flash that describes itself (CFI), kept in a file
 *
 * Two chips of 16 bits side by side make a bank of 32, as kvmtool has it: a firmware
 * built for that counts on blocks of 64 KiB.  Each chip knows Intel's commands (JEDEC
 * JESD68 for the query, JEP137 command set 1; Linux, drivers/mtd/chips/cfi_cmdset_0001.c)
 * and obeys at once: it is never seen busy.
 *
 * While both chips are to be read as memory the guest does so without exits.  The
 * contents are a copy, so that a file that shrinks is no signal that kills.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/cfi_flash.h"
#include "fdt/tree.h"
#include "vmm/bus.h"
#include "vmm/error.h"
#include "vmm/gmem.h"
#include "vmm/log.h"

#define NR_CHIPS	2
#define BUFFER_WORDS	64			/* of 16 bits, in each chip */
#define BUFFER_BITS	7			/* log2 of its bytes */
#define WORD_BYTES	(2 * NR_CHIPS)		/* of the bank, for a word of each chip */
#define BLOCK_WORDS	(CFI_FLASH_BLOCK / WORD_BYTES)

/* Commands, in the low byte of a word. */
#define CMD_PROGRAM_ALT		0x10
#define CMD_ERASE		0x20
#define CMD_PROGRAM		0x40
#define CMD_CLEAR_STATUS	0x50
#define CMD_LOCK		0x60
#define CMD_STATUS		0x70
#define CMD_ID			0x90
#define CMD_QUERY		0x98
#define CMD_SUSPEND		0xb0
#define CMD_CONFIRM		0xd0
#define CMD_BUFFER		0xe8
#define CMD_ARRAY		0xff

/* The status register. */
#define SR_READY		0x80
#define SR_ERASE_ERROR		0x20
#define SR_PROGRAM_ERROR	0x10
#define SR_PROTECTED		0x02
#define SR_SEQUENCE_ERROR	(SR_ERASE_ERROR | SR_PROGRAM_ERROR)

#define ID_MAKER	0x0089			/* Intel */
#define ID_DEVICE	0x0018

enum mode {
	READ_ARRAY,
	READ_STATUS,
	READ_ID,
	READ_QUERY,
};

/* What the next write is. */
enum next {
	NEXT_COMMAND,
	NEXT_WORD,		/* to program */
	NEXT_ERASE_CONFIRM,
	NEXT_LOCK,
	NEXT_COUNT,		/* of words for the buffer, less one */
	NEXT_BUFFER,		/* one of them */
	NEXT_BUFFER_CONFIRM,
};

struct chip {
	enum mode	mode;
	enum next	next;
	u8		status;
	u32		first;			/* the buffer's place: a word of the chip */
	u32		count, left;
	u16		buffer[BUFFER_WORDS];
};

struct cfi_flash {
	pthread_mutex_t		lock;		/* of everything below but the fixed things */
	struct chip		chips[NR_CHIPS];
	bool			mapped;
	struct ratelimit	errors;

	/* Fixed. */
	struct cfi_flash_config	cfg;
	u8			*host;
	u64			size;
};

/* ---- The contents ------------------------------------------------------------- */

static u8 *word_at(const struct cfi_flash *flash, unsigned int chip, u32 word)
{
	return flash->host + (u64)word * WORD_BYTES + 2 * chip;
}

/* To the file, from byte @off of the bank on.  Failing, it is the chip that has failed. */
static bool keep(struct cfi_flash *flash, u64 off, u64 len)
{
	ssize_t n;

	while (len) {
		n = pwrite(flash->cfg.fd, flash->host + off, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_limited(flash->cfg.log, &flash->errors, VMM_LOG_ERROR,
				    "flash: writing its file: %s", strerrordesc_np(n ? errno : EIO));
			return false;
		}
		off += (u64)n;
		len -= (u64)n;
	}
	return true;
}

/* Programming makes ones zeroes, and never the other way round. */
static void program(struct cfi_flash *flash, unsigned int nr, u32 word, const u16 *vals, u32 count)
{
	struct chip *chip = &flash->chips[nr];
	u8 *at;

	if (flash->cfg.readonly) {
		chip->status |= SR_PROGRAM_ERROR | SR_PROTECTED;
		return;
	}
	for (u32 i = 0; i < count; i++) {
		at = word_at(flash, nr, word + i);
		at[0] &= (u8)vals[i];
		at[1] &= (u8)(vals[i] >> 8);
	}
	if (!keep(flash, (u64)word * WORD_BYTES, (u64)count * WORD_BYTES))
		chip->status |= SR_PROGRAM_ERROR;
}

static void erase(struct cfi_flash *flash, unsigned int nr, u32 word)
{
	struct chip *chip = &flash->chips[nr];
	u32 first = word - word % BLOCK_WORDS;

	if (flash->cfg.readonly) {
		chip->status |= SR_ERASE_ERROR | SR_PROTECTED;
		return;
	}
	for (u32 i = 0; i < BLOCK_WORDS; i++)
		memset(word_at(flash, nr, first + i), 0xff, 2);
	if (!keep(flash, (u64)first * WORD_BYTES, CFI_FLASH_BLOCK))
		chip->status |= SR_ERASE_ERROR;
}

/* ---- A chip --------------------------------------------------------------------- */

/* JESD68, and behind it Intel's own table, which has no feature to offer. */
static u16 query(const struct cfi_flash *flash, u32 word)
{
	u32 blocks = (u32)(flash->size / CFI_FLASH_BLOCK) - 1;
	u32 block = CFI_FLASH_BLOCK / NR_CHIPS / 256;
	const u8 table[] = {
		'Q', 'R', 'Y',
		0x01, 0x00,			/* command set: Intel's */
		0x31, 0x00,			/* where its table is */
		0x00, 0x00, 0x00, 0x00,		/* no other set */
		0x45, 0x55, 0x00, 0x00,		/* volts: 4.5 to 5.5, no Vpp */
		0x01, 0x01, 0x01, 0x00,		/* typical times, powers of 2: us, us, ms */
		0x01, 0x01, 0x01, 0x00,		/* at most so many times that */
		(u8)__builtin_ctzll(flash->size / NR_CHIPS),
		0x01, 0x00,			/* 16 bits wide */
		BUFFER_BITS, 0x00,
		0x01,				/* one kind of blocks */
		(u8)blocks, (u8)(blocks >> 8),
		(u8)block, (u8)(block >> 8),
		'P', 'R', 'I', '1', '0',
		0x00, 0x00, 0x00, 0x00,		/* features */
		0x00,				/* nothing to do while suspended */
		0x00, 0x00,			/* no block status */
		0x50, 0x00,			/* best volts */
		0x00,				/* no protection registers */
	};

	word -= 0x10;
	return word < sizeof(table) ? table[word] : 0;
}

static u16 chip_read(const struct cfi_flash *flash, unsigned int nr, u32 word)
{
	const struct chip *chip = &flash->chips[nr];
	const u8 *at;

	switch (chip->mode) {
	case READ_STATUS:
		return chip->status;
	case READ_QUERY:
		return query(flash, word);
	case READ_ID:
		/* The block's lock is word 2: it has none. */
		return word == 0 ? ID_MAKER : word == 1 ? ID_DEVICE : 0;
	case READ_ARRAY:
		break;
	}
	at = word_at(flash, nr, word);
	return (u16)(at[0] | at[1] << 8);
}

static void command(struct chip *chip, u8 cmd)
{
	chip->mode = READ_STATUS;
	switch (cmd) {
	case CMD_PROGRAM:
	case CMD_PROGRAM_ALT:
		chip->next = NEXT_WORD;
		break;
	case CMD_ERASE:
		chip->next = NEXT_ERASE_CONFIRM;
		break;
	case CMD_BUFFER:
		chip->next = NEXT_COUNT;
		break;
	case CMD_LOCK:
		chip->next = NEXT_LOCK;
		break;
	case CMD_CLEAR_STATUS:
		chip->status = SR_READY;
		break;
	case CMD_STATUS:
	case CMD_SUSPEND:
	case CMD_CONFIRM:
		break;
	case CMD_ID:
		chip->mode = READ_ID;
		break;
	case CMD_QUERY:
		chip->mode = READ_QUERY;
		break;
	default:
		chip->mode = READ_ARRAY;
		break;
	}
}

static void take_count(struct chip *chip, u16 val)
{
	if (val >= BUFFER_WORDS) {
		chip->status |= SR_SEQUENCE_ERROR;
		return;
	}
	chip->count = chip->left = val + 1u;
	chip->next = NEXT_BUFFER;
}

/* The first one says where; the others are within as many words from there, and its block. */
static void take_buffer(struct chip *chip, u32 word, u16 val)
{
	if (chip->left == chip->count) {
		chip->first = word;
		memset(chip->buffer, 0xff, sizeof(chip->buffer));
	}
	if (word < chip->first || word - chip->first >= chip->count ||
	    word / BLOCK_WORDS != chip->first / BLOCK_WORDS) {
		chip->status |= SR_SEQUENCE_ERROR;
		return;
	}
	chip->buffer[word - chip->first] = val;
	chip->next = --chip->left ? NEXT_BUFFER : NEXT_BUFFER_CONFIRM;
}

static void chip_write(struct cfi_flash *flash, unsigned int nr, u32 word, u16 val)
{
	struct chip *chip = &flash->chips[nr];
	enum next next = chip->next;
	u8 cmd = (u8)val;

	chip->next = NEXT_COMMAND;
	switch (next) {
	case NEXT_COMMAND:
		command(chip, cmd);
		return;
	case NEXT_WORD:
		program(flash, nr, word, &val, 1);
		return;
	case NEXT_ERASE_CONFIRM:
		if (cmd == CMD_CONFIRM)
			erase(flash, nr, word);
		else
			chip->status |= SR_SEQUENCE_ERROR;
		return;
	case NEXT_LOCK:
		/* Nothing is ever locked: it can be unlocked, and not be locked. */
		if (cmd != CMD_CONFIRM)
			chip->status |= SR_SEQUENCE_ERROR;
		return;
	case NEXT_COUNT:
		take_count(chip, val);
		return;
	case NEXT_BUFFER:
		take_buffer(chip, word, val);
		return;
	case NEXT_BUFFER_CONFIRM:
		if (cmd == CMD_CONFIRM)
			program(flash, nr, chip->first, chip->buffer, chip->count);
		else
			chip->status |= SR_SEQUENCE_ERROR;
		return;
	}
}

/* ---- The bank -------------------------------------------------------------------- */

/* With the lock held, or nobody else there. */
static void remap(struct cfi_flash *flash)
{
	bool want = true;
	int ret;

	for (unsigned int i = 0; i < NR_CHIPS; i++)
		want &= flash->chips[i].mode == READ_ARRAY;
	if (want == flash->mapped)
		return;
	ret = flash->cfg.map(flash->cfg.ctx, want ? flash->host : NULL);
	if (!ret)
		flash->mapped = want;
	else
		log_limited(flash->cfg.log, &flash->errors, VMM_LOG_ERROR,
			    "flash: mapping it: %s", strerrordesc_np(-ret));
}

u64 cfi_flash_read(struct cfi_flash *flash, u64 off, unsigned int len)
{
	u64 val = 0;

	pthread_mutex_lock(&flash->lock);
	for (unsigned int i = 0; i < len; i++) {
		u64 at = off + i;
		u16 word = chip_read(flash, at / 2 % NR_CHIPS, (u32)(at / WORD_BYTES));

		val |= (u64)(u8)(word >> at % 2 * 8) << 8 * i;
	}
	pthread_mutex_unlock(&flash->lock);
	return val;
}

void cfi_flash_write(struct cfi_flash *flash, u64 off, unsigned int len, u64 val)
{
	pthread_mutex_lock(&flash->lock);
	if (len == 1) {
		/* A chip has no lines for bytes.  The upper one alone is no command. */
		if (off % 2 == 0)
			chip_write(flash, off / 2 % NR_CHIPS, (u32)(off / WORD_BYTES),
				   (u16)(0xff00 | (u8)val));
	} else if (off % 2 == 0) {
		for (unsigned int i = 0; i < len; i += 2)
			chip_write(flash, (off + i) / 2 % NR_CHIPS, (u32)((off + i) / WORD_BYTES),
				   (u16)(val >> 8 * i));
	}
	remap(flash);
	pthread_mutex_unlock(&flash->lock);
}

static u64 bus_read_flash(void *dev, u64 off, unsigned int len)
{
	return cfi_flash_read(dev, off, len);
}

static void bus_write_flash(void *dev, u64 off, unsigned int len, u64 val)
{
	cfi_flash_write(dev, off, len, val);
}

const struct bus_ops cfi_flash_bus_ops = {
	.read = bus_read_flash,
	.write = bus_write_flash,
};

u64 cfi_flash_size(const struct cfi_flash *flash)
{
	return flash->size;
}

/* ---- Life ------------------------------------------------------------------------- */

static int measure(struct cfi_flash *flash, struct vmm_error *err)
{
	off_t size = lseek(flash->cfg.fd, 0, SEEK_END);

	if (size < 0)
		return error_sys(err, -errno, "flash: the size of its file");
	if (size < CFI_FLASH_SIZE_MIN || size > CFI_FLASH_SIZE_MAX || size & (size - 1))
		return error_set(err, -ENOEXEC,
				 "flash: its file has %lld bytes, which is no power of two from 64 KiB to 16 MiB",
				 (long long)size);
	flash->size = (u64)size;
	return 0;
}

static int fill(struct cfi_flash *flash, struct vmm_error *err)
{
	void *host = mmap(NULL, flash->size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct gmem mem = { .host = host, .size = flash->size };
	int ret;

	if (host == MAP_FAILED)
		return error_sys(err, -errno, "flash: memory for it");
	flash->host = host;
	ret = gmem_read_file(&mem, 0, flash->cfg.fd, 0, flash->size);
	return ret ? error_sys(err, ret, "flash: reading its file") : 0;
}

int cfi_flash_create(struct cfi_flash **out, const struct cfi_flash_config *cfg,
		     struct vmm_error *err)
{
	struct cfi_flash *flash = calloc(1, sizeof(*flash));
	int ret;

	if (!flash)
		return error_set(err, -ENOMEM, "flash: no memory");
	pthread_mutex_init(&flash->lock, NULL);
	flash->cfg = *cfg;
	for (unsigned int i = 0; i < NR_CHIPS; i++)
		flash->chips[i].status = SR_READY;
	ret = measure(flash, err);
	if (!ret)
		ret = fill(flash, err);
	if (ret) {
		cfi_flash_destroy(flash);
		return ret;
	}
	*out = flash;
	return 0;
}

int cfi_flash_map(struct cfi_flash *flash)
{
	int ret = flash->cfg.map(flash->cfg.ctx, flash->host);

	flash->mapped = !ret;
	return ret;
}

void cfi_flash_destroy(struct cfi_flash *flash)
{
	if (!flash)
		return;
	if (flash->host)
		munmap(flash->host, flash->size);
	pthread_mutex_destroy(&flash->lock);
	free(flash);
}

/*
 * Linux, Documentation/devicetree/bindings/mtd/mtd-physmap.yaml.  UEFI looks for the label
 * to find out where its variables are.
 */
void cfi_flash_tree(const struct cfi_flash *flash, struct tree *t, gpa_t base)
{
	tree_begin(t, "flash@%llx", (unsigned long long)base);
	tree_string(t, "compatible", "cfi-flash");
	tree_string(t, "label", "System-firmware");
	tree_u32(t, "bank-width", WORD_BYTES);
	tree_reg(t, base, flash->size);
	tree_end(t);
}
