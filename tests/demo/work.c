/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work.c - something to profile: four kinds of work that take turns
 *
 *   work SECONDS
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIDE	64
#define NR	(SIDE * SIDE)
#define TURN_NS	250000000ull

static uint32_t numbers[NR], order[NR];
static uint32_t next[NR];
static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
static uint32_t seed = 1;

__attribute__((noinline)) static uint32_t draw_number(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

/* Branches that nobody can foretell. */
__attribute__((noinline)) static void sort_numbers(void)
{
	for (size_t i = 0; i < NR; i++)
		order[i] = numbers[i];
	for (size_t gap = NR / 2; gap; gap /= 2) {
		for (size_t i = gap; i < NR; i++) {
			uint32_t value = order[i];
			size_t j = i;

			for (; j >= gap && order[j - gap] > value; j -= gap)
				order[j] = order[j - gap];
			order[j] = value;
		}
	}
}

/* Loads that wait for each other. */
__attribute__((noinline)) static uint32_t chase_pointers(void)
{
	uint32_t at = 0;

	for (size_t i = 0; i < 16 * NR; i++)
		at = next[at];
	return at;
}

__attribute__((noinline)) static void multiply_matrices(void)
{
	for (size_t i = 0; i < SIDE; i++) {
		for (size_t j = 0; j < SIDE; j++) {
			double sum = 0;

			for (size_t k = 0; k < SIDE; k++)
				sum += a[i][k] * b[k][j];
			c[i][j] = sum;
		}
	}
}

__attribute__((noinline)) static uint32_t hash_numbers(void)
{
	const unsigned char *bytes = (const unsigned char *)numbers;
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < sizeof(numbers); i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* One cycle through all of them. */
static void prepare(void)
{
	for (size_t i = 0; i < NR; i++) {
		numbers[i] = draw_number();
		next[i] = i;
		a[i / SIDE][i % SIDE] = numbers[i];
		b[i % SIDE][i / SIDE] = numbers[i];
	}
	for (size_t i = NR - 1; i; i--) {
		size_t j = draw_number() % i;
		uint32_t swap = next[i];

		next[i] = next[j];
		next[j] = swap;
	}
}

int main(int argc, char **argv)
{
	uint64_t end = now_ns() + (argc > 1 ? strtoull(argv[1], NULL, 0) : 10) * 1000000000ull;
	volatile uint32_t sink = 0;

	prepare();
	for (unsigned int turn = 0; now_ns() < end; turn++) {
		uint64_t change = now_ns() + TURN_NS * (1 + turn % 3);

		while (now_ns() < change) {
			switch (turn % 4) {
			case 0: sort_numbers(); break;
			case 1: sink += chase_pointers(); break;
			case 2: multiply_matrices(); break;
			case 3: sink += hash_numbers(); break;
			}
		}
	}
	return sink == 1 && c[1][1] > 0;
}
