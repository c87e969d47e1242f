/* The model's trees. Generated: compile with -ffp-contract=off and without -ffast-math, and link the
 * C library's mathematics. A row's answer depends on nothing but the row. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "arrays are written for machines that store the least significant byte first"
#endif

#define FEATURES 4
#define SCORES 1
#define OUTPUTS 2
#define TREES 1
/* Numbers of at most this from 0 may count as missing. */
#define ZERO 0x1.a95a5c0000000p-117

#define CATEGORIES 1


/* Whether a level is in a set of so many words. */
static int among(const uint32_t *set, uint32_t words, int32_t level) {
    return level >= 0 && (uint32_t)level / 32 < words && (set[level / 32] >> (level % 32) & 1);
}

/* The level that a value is, -1 for none: its fraction is cut off. */
static int32_t level_of(double x) {
    return x > -1.0 && x < 2147483648.0 ? (int32_t)x : -1;
}

static void levels_of(const double *x, int32_t *k) {
    k[0] = level_of(x[2]);
}

static const double BASE[SCORES] = { 0.0 };

/* What scores mean: probabilities in the order of the classes, or a number. */
static void answers(double *s, double *out) {
    for (int i = 0; i < SCORES; i++) s[i] = 1.0 / (1.0 + exp(-s[i]));
    out[0] = 1.0 - s[0];
    out[1] = s[0];
}

static const uint32_t SET_0[1] = {
    2,
};

static double tree_0(const double *x, const int32_t *k) {
    if (!(x[0] > 0x1.0000000000000p-1)) {
        if (among(SET_0, 1, k[0])) {
            return 0x1.0000000000000p-2;
        } else {
            return -0x1.8000000000000p+0;
        }
    } else {
        return 3.0;
    }
}

/* The answers for a row: FEATURES doubles in, OUTPUTS out. */
void score(const double *x, double *out) {
    double s[SCORES];
    memcpy(s, BASE, sizeof s);
    int32_t k[CATEGORIES];
    levels_of(x, k);
    s[0] += tree_0(x, k);
    answers(s, out);
}

/* The same for so many rows, one behind the other. */
void score_rows(const double *x, double *out, size_t rows) {
    for (size_t row = 0; row < rows; row++) score(x + row * FEATURES, out + row * OUTPUTS);
}
