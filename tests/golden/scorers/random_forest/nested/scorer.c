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

#define FEATURES 2
#define SCORES 3
#define OUTPUTS 3
#define TREES 1
/* Numbers of at most this from 0 may count as missing. */
#define ZERO 0x1.a95a5c0000000p-117

static const double BASE[SCORES] = { 0.0, 0.0, 0.0 };

/* What scores mean: probabilities in the order of the classes, or a number. */
static void answers(double *s, double *out) {
    for (int i = 0; i < SCORES; i++) s[i] /= 3.0;
    memcpy(out, s, sizeof(double) * SCORES);
}


static void tree_0(const double *x, double *s) {
    if (!(x[0] > 0x1.999999999999ap-4)) {
        if (x[1] <= 0.0) {
            s[0] += 0x1.999999999999ap-3;
            s[1] += 0x1.3333333333333p-2;
            s[2] += 0x1.0000000000000p-1;
        } else {
            s[0] += 1.0;
            s[1] += 0.0;
            s[2] += 0.0;
        }
    } else {
        s[0] += 0.0;
        s[1] += 0x1.0000000000000p-1;
        s[2] += 0x1.0000000000000p-1;
    }
}

/* The answers for a row: FEATURES doubles in, OUTPUTS out. */
void score(const double *x, double *out) {
    double s[SCORES];
    memcpy(s, BASE, sizeof s);
    tree_0(x, s);
    answers(s, out);
}

/* The same for so many rows, one behind the other. */
void score_rows(const double *x, double *out, size_t rows) {
    for (size_t row = 0; row < rows; row++) score(x + row * FEATURES, out + row * OUTPUTS);
}
