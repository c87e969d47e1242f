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

#define COUNT 2
#define MOST_LEAVES 3
#define MISSING_IS_ZERO 4
#define IS_CATEGORY 2

typedef uint8_t cell;
typedef uint16_t word;

/* A view is a rule of a feature with its thresholds: feature, flags, first, count, and the rank of
 * what is missing. A node: view, greatest rank to the left, slots of its children; the slots of a
 * tree are its nodes, then its leaves. */
typedef struct {
    uint32_t feature, flags, first, count, missing;
} view;
typedef struct {
    word view, at, child[2];
} node;

static const uint32_t VIEWS[10] = {
    0, 1, 0, 1, 0, 1, 0, 1, 1, 1,
};
static const double LIMITS[2] = {
    0x1.999999999999ap-4, 0.0,
};
static const uint32_t SETS[1] = {
    0,
};
static const uint16_t NODES[12] = {
    0, 0, 1, 4, 1, 0, 2, 3, 0, 0, 0, 0,
};
static const uint32_t FIRST_NODE[2] = {
    0, 2,
};
static const uint32_t FIRST_LEAF[2] = {
    0, 3,
};
static const double VALUES[9] = {
    0x1.999999999999ap-3, 0x1.3333333333333p-2, 0x1.0000000000000p-1, 1.0,
    0.0, 0.0, 0.0, 0x1.0000000000000p-1,
    0x1.0000000000000p-1,
};

/* How many of so many limits, in order, lie below x. */
static uint32_t below(const double *limits, uint32_t count, double x) {
    const double *low = limits;
    while (count > 1) {
        uint32_t half = count / 2;
        low = low[half - 1] < x ? low + half : low;
        count -= half;
    }
    return (uint32_t)(low - limits) + (*low < x);
}

/* The rank of a row in each view; that of view v lies at ranks[v * stride]. */
static void rank(const double *x, cell *ranks, size_t stride) {
    for (size_t v = 0; v < COUNT; v++) {
        const view *it = (const view *)VIEWS + v;
        uint32_t found;
        double value = x[it->feature];
        if (value != value || (it->flags & MISSING_IS_ZERO && fabs(value) <= ZERO))
            found = it->missing;
        else
            found = below(LIMITS + it->first, it->count, value);
        ranks[v * stride] = (cell)found;
    }
}

/* Adds the leaf of a tree to the scores of a row. */
static inline void add(const double *x, size_t tree, uint32_t leaf, double *s) {
    size_t position = FIRST_LEAF[tree] + leaf;
    (void)x;
    for (size_t i = 0; i < SCORES; i++) s[i] += VALUES[position * SCORES + i];
}

/* So many trees are walked side by side: the processor waits for the memory of one while it looks at
 * the others. */
#define LANES 8

static void walk(const double *x, const cell *ranks, double *s) {
    for (size_t first = 0; first < TREES; first += LANES) {
        const node *nodes[LANES];
        uint32_t inner[LANES], slot[LANES];
        for (size_t i = 0; i < LANES; i++) {
            size_t tree = first + i < TREES ? first + i : TREES - 1;
            nodes[i] = (const node *)NODES + FIRST_NODE[tree];
            inner[i] = FIRST_NODE[tree + 1] - FIRST_NODE[tree];
            slot[i] = 0;
        }
        for (uint32_t alive = 1; alive;) {
            alive = 0;
            for (size_t i = 0; i < LANES; i++) {
                uint32_t here = slot[i], inside = here < inner[i];
                const node *it = nodes[i] + (inside ? here : 0);
                uint32_t next = it->child[ranks[it->view] > it->at];
                slot[i] = inside ? next : here;
                alive |= inside;
            }
        }
        for (size_t i = 0; i < LANES && first + i < TREES; i++)
            add(x, first + i, slot[i] - inner[i], s);
    }
}

/* The answers for a row: FEATURES doubles in, OUTPUTS out. */
void score(const double *x, double *out) {
    cell ranks[COUNT];
    double s[SCORES];
    memcpy(s, BASE, sizeof s);
    rank(x, ranks, 1);
    walk(x, ranks, s);
    answers(s, out);
}

/* Many rows go in blocks: each node of a tree is visited once a block, in pre-order, and says of all
 * its rows where they go. reach[slot] has all bits of the rows that come to a slot. */
#define BLOCK 64
#define FEW 24
#define WIDE 16
#define PARTS (BLOCK * sizeof(cell) / WIDE)
typedef cell part __attribute__((vector_size(WIDE), may_alias));
typedef struct {
    part ranks[COUNT][PARTS];
    part reach[2 * MOST_LEAVES][PARTS];
    double scores[BLOCK][SCORES];
} space;

static void walk_block(const double *x, size_t rows, space *own) {
    for (size_t tree = 0; tree < TREES; tree++) {
        const node *nodes = (const node *)NODES + FIRST_NODE[tree];
        uint32_t inner = FIRST_NODE[tree + 1] - FIRST_NODE[tree];
        part leaf[PARTS];
        memset(leaf, 0, sizeof leaf);
        memset(own->reach[0], 255, sizeof own->reach[0]);
        for (uint32_t n = 0; n < inner; n++) {
            const node *it = nodes + n;
            const part *ranks = own->ranks[it->view], *here = own->reach[n];
            part *left = own->reach[it->child[0]], *right = own->reach[it->child[1]];
            part at = (part){0} + (cell)it->at;
            for (size_t p = 0; p < PARTS; p++) {
                part goes = (part)(ranks[p] <= at), reached = here[p];
                left[p] = reached & goes;
                right[p] = reached & ~goes;
            }
        }
        for (uint32_t n = 1; n <= inner; n++) {
            part number = (part){0} + (cell)n;
            for (size_t p = 0; p < PARTS; p++) leaf[p] |= own->reach[inner + n][p] & number;
        }
        cell leaves[BLOCK];
        memcpy(leaves, leaf, sizeof leaves);
        for (size_t row = 0; row < rows; row++)
            add(x + row * FEATURES, tree, leaves[row], own->scores[row]);
    }
}

static void score_block(const double *x, double *out, size_t rows, space *own) {
    for (size_t row = 0; row < rows; row++) {
        rank(x + row * FEATURES, (cell *)own->ranks + row, BLOCK);
        memcpy(own->scores[row], BASE, sizeof BASE);
    }
    walk_block(x, rows, own);
    for (size_t row = 0; row < rows; row++) answers(own->scores[row], out + row * OUTPUTS);
}

/* The same for so many rows, one behind the other. */
void score_rows(const double *x, double *out, size_t rows) {
    void *taken = rows < FEW ? NULL : calloc(1, sizeof(space) + WIDE);
    size_t row = 0;
    if (taken) {
        space *own = (space *)(((uintptr_t)taken + WIDE - 1) / WIDE * WIDE);
        while (rows - row >= FEW) {
            size_t count = rows - row < BLOCK ? rows - row : BLOCK;
            score_block(x + row * FEATURES, out + row * OUTPUTS, count, own);
            row += count;
        }
        free(taken);
    }
    for (; row < rows; row++) score(x + row * FEATURES, out + row * OUTPUTS);
}
