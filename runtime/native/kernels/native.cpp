// The emulator's inner loops in plain integers: convolutions, pooling and epilogues.
//
// Values are mantissas in the narrowest of int16, int32 and int64 that holds their format. Sums
// of products and all exact operations wrap modulo 2^32 or 2^64, so a result is right whenever it
// fits, whatever the partial results do; the caller has proved that it fits.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <vector>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

typedef std::int16_t i16;
typedef std::int32_t i32;
typedef std::int64_t i64;

template <class T> struct wrapping;
template <> struct wrapping<i32> { typedef std::uint32_t type; };
template <> struct wrapping<i64> { typedef std::uint64_t type; };

// ---- epilogues ---------------------------------------------------------------------------------

// A register (a block of pixels x channels) or a constant (one value per channel), to be shifted
// left to the binary point of the result.
struct Operand {
    i32 reg;
    i32 shift;
    const void *constant;
};

enum Op : i32 {
    ADD, SUBTRACT, MULTIPLY, MAXIMUM, MINIMUM, RELU, AFFINE, LEAKY_RELU, GATE,
    IS_ZERO, QUANTIZE, THRESHOLD, LOOKUP
};
enum Rounding : i32 { TRN, TRN_ZERO, RND, RND_ZERO, RND_MIN_INF, RND_INF, RND_CONV };
enum Overflow : i32 { WRAP, CLIP, SAT_ZERO };

struct Instruction {
    i32 op;
    i32 result;
    Operand a, b, c;
    i32 shift;    // products: left; quantize: right (negative: left)
    i32 rounding;
    i32 overflow;
    i32 width;    // of a wrapping format; negative if it is unsigned
    i64 lo, hi;   // of a saturating format
    i64 base;     // the lowest level of thresholds, the origin of a table
    i64 size;     // thresholds per channel, entries of a table
    i64 stride;   // from the table of a channel to that of the next; 0 for one table
    const i64 *table;
};

struct Program {
    const Instruction *instructions;
    i32 count;
    i32 registers;
    i32 result;   // the register that holds it
    i32 channels;
    i32 wide;     // whether registers have 64 bits
};

// Working memory of a thread, kept from call to call; its content is left over from the last one.
template <class T, int slot> T *scratch(std::size_t size) {
    thread_local std::vector<T> storage;
    if (storage.size() < size)
        storage.resize(size);
    return storage.data();
}

template <class T> struct Block {
    const std::size_t size;
    T *const registers;
    Block(const Program &program, int pixels)
        : size(std::size_t(pixels) * program.channels),
          registers(scratch<T, 0>(program.registers * size)) {}
    T *reg(int k) { return registers + k * size; }
};

template <class T> T round_off(T m, int shift, int rounding) {
    const T quotient = m >> shift;
    const T rest = m & ((T(1) << shift) - 1);
    const T half = T(1) << (shift - 1);
    T bias = 0;
    switch (rounding) {
    case TRN: break;
    case TRN_ZERO: bias = m < 0 ? (T(1) << shift) - 1 : 0; break;
    case RND: bias = half; break;
    case RND_ZERO: bias = half - 1 + (m < 0); break;
    case RND_MIN_INF: bias = half - 1; break;
    case RND_INF: bias = half - (m < 0); break;
    default: bias = half - 1 + (quotient & 1);
    }
    return quotient + ((rest + bias) >> shift);
}

// One channel row of an instruction. `ok` is cleared where a table is left.
template <class T> class Row {
    typedef typename wrapping<T>::type U;
    const Instruction &in;
    const int n;
    T *const y;

    static T left(T x, int shift) { return T(U(x) << shift); }

public:
    Row(const Instruction &in, int n, T *y) : in(in), n(n), y(y) {}

    template <class F> void each(F f) const {
        for (int c = 0; c < n; c++)
            y[c] = f(c);
    }

    void run(const T *a, const T *b, const T *c, bool &ok) const {
        const int sa = in.a.shift, sb = in.b.shift, sc = in.c.shift, s = in.shift;
        switch (in.op) {
        case ADD: each([=](int k) { return T(U(left(a[k], sa)) + U(left(b[k], sb))); }); break;
        case SUBTRACT: each([=](int k) { return T(U(left(a[k], sa)) - U(left(b[k], sb))); }); break;
        case MULTIPLY: each([=](int k) { return left(T(U(a[k]) * U(b[k])), s); }); break;
        case MAXIMUM: each([=](int k) { return std::max(left(a[k], sa), left(b[k], sb)); }); break;
        case MINIMUM: each([=](int k) { return std::min(left(a[k], sa), left(b[k], sb)); }); break;
        case RELU: each([=](int k) { return left(std::max(a[k], T(0)), sa); }); break;
        case AFFINE:
            each([=](int k) { return T(U(left(T(U(a[k]) * U(b[k])), s)) + U(left(c[k], sc))); });
            break;
        case LEAKY_RELU:
            each([=](int k) { return a[k] < 0 ? left(T(U(a[k]) * U(b[k])), s) : left(a[k], sa); });
            break;
        case GATE:
            each([=](int k) {
                const T x = left(a[k], sa), threshold = left(b[k], sb);
                return x > threshold ? left(x, sc) : left(T(U(x - threshold) * U(c[k])), s);
            });
            break;
        case IS_ZERO: each([=](int k) { return a[k] == 0 ? left(1, s) : T(0); }); break;
        case QUANTIZE: quantize(a); break;
        case THRESHOLD: thresholds(a); break;
        default: lookup(a, ok);
        }
    }

private:
    void quantize(const T *a) const {
        const int s = in.shift;
        const T lo = T(in.lo), hi = T(in.hi);
        if (s <= 0) {
            gain(a, -s);
        } else if (in.overflow == CLIP && in.rounding == RND_CONV) { // by far the most frequent
            each([=](int k) {
                return std::min(std::max(round_off(a[k], s, RND_CONV), lo), hi);
            });
        } else {
            const int rounding = in.rounding;
            each([=](int k) { return bounded(round_off(a[k], s, rounding)); });
        }
    }

    void gain(const T *a, int bits) const {
        if (in.overflow == WRAP)
            return each([=](int k) { return bounded(left(a[k], bits)); });
        const T lo = T(in.lo), hi = T(in.hi);
        const T least = -(-lo >> bits), most = hi >> bits;
        const bool zero = in.overflow == SAT_ZERO;
        each([=](int k) {
            return a[k] < least ? (zero ? T(0) : lo) : a[k] > most ? (zero ? T(0) : hi)
                                                                   : left(a[k], bits);
        });
    }

    T bounded(T m) const {
        const T lo = T(in.lo), hi = T(in.hi);
        if (in.overflow == CLIP)
            return std::min(std::max(m, lo), hi);
        if (in.overflow == SAT_ZERO)
            return m < lo || m > hi ? T(0) : m;
        const int unused = int(8 * sizeof(T)) - std::abs(in.width);
        return in.width > 0 ? T(U(m) << unused) >> unused : T(U(m) << unused >> unused);
    }

    // The table holds [threshold][channel], so that the channels are compared side by side.
    void thresholds(const T *a) const {
        each([=](int) { return T(in.base); });
        for (i64 t = 0; t < in.size; t++) {
            const i64 *row = in.table + t * n;
            for (int k = 0; k < n; k++)
                y[k] += a[k] >= T(row[k]);
        }
    }

    void lookup(const T *a, bool &ok) const {
        for (int k = 0; k < n; k++) {
            const i64 index = i64(a[k]) - in.base;
            const bool inside = index >= 0 && index < in.size;
            ok = ok && inside;
            y[k] = inside ? T(in.table[k * in.stride + index]) : T(0);
        }
    }
};

template <class T> bool run(const Program &program, Block<T> &block, int pixels) {
    bool ok = true;
    const int n = program.channels;
    for (int i = 0; i < program.count; i++) {
        const Instruction &in = program.instructions[i];
        T *y = block.reg(in.result);
        for (int p = 0; p < pixels; p++) {
            const auto row = [&](const Operand &o) {
                return o.reg < 0 ? static_cast<const T *>(o.constant)
                                 : block.reg(o.reg) + std::size_t(p) * n;
            };
            Row<T>(in, n, y + std::size_t(p) * n).run(row(in.a), row(in.b), row(in.c), ok);
        }
    }
    return ok;
}

// ---- storage -----------------------------------------------------------------------------------

template <class T> void load(T *to, const void *from, int bytes, std::size_t first, std::size_t n) {
    const auto copy = [=](const auto *x) {
        for (std::size_t k = 0; k < n; k++)
            to[k] = T(x[first + k]);
    };
    if (bytes == 2)
        copy(static_cast<const i16 *>(from));
    else if (bytes == 4)
        copy(static_cast<const i32 *>(from));
    else
        copy(static_cast<const i64 *>(from));
}

template <class T> void store(void *to, int bytes, std::size_t first, const T *x, std::size_t n) {
    const auto copy = [=](auto *y) {
        for (std::size_t k = 0; k < n; k++)
            y[first + k] = static_cast<std::remove_reference_t<decltype(*y)>>(x[k]);
    };
    if (bytes == 2)
        copy(static_cast<i16 *>(to));
    else if (bytes == 4)
        copy(static_cast<i32 *>(to));
    else
        copy(static_cast<i64 *>(to));
}

// ---- windows -----------------------------------------------------------------------------------

struct Geometry {
    i32 height, width, channels;
    i32 kernel_height, kernel_width;
    i32 stride_height, stride_width;
    i32 dilation_height, dilation_width;
    i32 pad_top, pad_left;
    i32 out_height, out_width;
    i64 fill;
};

// Where the window of an output pixel begins; the pixel's number counts through all events.
struct Place {
    const char *image;
    int row, column;
};

Place place(const Geometry &g, const void *x, int bytes, i64 pixel) {
    const i64 per_image = i64(g.out_height) * g.out_width;
    const i64 event = pixel / per_image, rest = pixel % per_image;
    const i64 size = i64(g.height) * g.width * g.channels * bytes;
    return {static_cast<const char *>(x) + event * size,
            int(rest / g.out_width) * g.stride_height - g.pad_top,
            int(rest % g.out_width) * g.stride_width - g.pad_left};
}

// The elements (kernel_height, kernel_width, channels) under a window.
void gather(const Geometry &g, const void *x, i64 pixel, i16 *to) {
    const Place at = place(g, x, sizeof(i16), pixel);
    const i16 *image = reinterpret_cast<const i16 *>(at.image);
    const int tap = g.channels;
    for (int i = 0; i < g.kernel_height; i++) {
        const int row = at.row + i * g.dilation_height;
        const bool inside = row >= 0 && row < g.height;
        const i16 *line = image + (inside ? i64(row) * g.width * tap : 0);
        const int last = at.column + (g.kernel_width - 1) * g.dilation_width;
        if (inside && g.dilation_width == 1 && at.column >= 0 && last < g.width) {
            std::memcpy(to, line + i64(at.column) * tap, sizeof(i16) * g.kernel_width * tap);
            to += g.kernel_width * tap;
            continue;
        }
        for (int j = 0; j < g.kernel_width; j++, to += tap) {
            const int column = at.column + j * g.dilation_width;
            if (inside && column >= 0 && column < g.width)
                std::memcpy(to, line + i64(column) * tap, sizeof(i16) * tap);
            else
                std::fill(to, to + tap, i16(g.fill));
        }
    }
}

// ---- products ----------------------------------------------------------------------------------

const int PIXELS = 4;   // rows of a tile
const int OUTPUTS = 3;  // columns of a tile
const int STEP = 16;    // elements of a vector
const int CHUNK = 32;   // pixels gathered at once

// sums[p * stride + o] = sum over k of x[p][k] * w[o][k]; n is a multiple of STEP.
void tile(const i16 *x, const i16 *w, int n, i32 *sums, int stride) {
#if defined(__AVX2__)
    __m256i acc[PIXELS][OUTPUTS];
    for (int p = 0; p < PIXELS; p++)
        for (int o = 0; o < OUTPUTS; o++)
            acc[p][o] = _mm256_setzero_si256();
    for (int k = 0; k < n; k += STEP) {
        __m256i weights[OUTPUTS];
        for (int o = 0; o < OUTPUTS; o++)
            weights[o] = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(w + i64(o) * n + k));
        for (int p = 0; p < PIXELS; p++) {
            const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(x + i64(p) * n + k));
            for (int o = 0; o < OUTPUTS; o++)
                acc[p][o] = _mm256_add_epi32(acc[p][o], _mm256_madd_epi16(v, weights[o]));
        }
    }
    for (int p = 0; p < PIXELS; p++) {
        for (int o = 0; o < OUTPUTS; o++) {
            __m128i half = _mm_add_epi32(_mm256_castsi256_si128(acc[p][o]),
                                         _mm256_extracti128_si256(acc[p][o], 1));
            half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
            half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
            sums[p * stride + o] = _mm_cvtsi128_si32(half);
        }
    }
#else
    for (int p = 0; p < PIXELS; p++) {
        for (int o = 0; o < OUTPUTS; o++) {
            std::uint32_t sum = 0;
            for (int k = 0; k < n; k++)
                sum += std::uint32_t(i32(x[i64(p) * n + k]) * i32(w[i64(o) * n + k]));
            sums[p * stride + o] = i32(sum);
        }
    }
#endif
}

int rounded_up(int n, int to) { return (n + to - 1) / to * to; }

struct Matvec {
    const i16 *x;
    const i16 *weights;  // [outputs rounded up to OUTPUTS][inputs rounded up to STEP], padded with 0
    i32 inputs, outputs;
    i32 shift;           // from the binary point of a product to that of the accumulator
    i32 bytes;           // of an element of y
    i64 pixels;
    void *y;
};

template <class T>
bool products(const Matvec &m, const Geometry &g, const Program &program, i64 first, int pixels) {
    const int n = rounded_up(m.inputs, STEP), outputs = rounded_up(m.outputs, OUTPUTS);
    // What lies behind the inputs is multiplied by 0, what lies behind the pixels is not used.
    i16 *x = scratch<i16, 0>(std::size_t(CHUNK) * n);
    i32 *sums = scratch<i32, 1>(std::size_t(CHUNK) * outputs);
    for (int p = 0; p < pixels; p++)
        gather(g, m.x, first + p, x + i64(p) * n);
    for (int o = 0; o < outputs; o += OUTPUTS)
        for (int p = 0; p < pixels; p += PIXELS)
            tile(x + i64(p) * n, m.weights + i64(o) * n, n, sums + i64(p) * outputs + o, outputs);
    Block<T> block(program, CHUNK);
    T *acc = block.reg(0);
    for (int p = 0; p < pixels; p++)
        for (int o = 0; o < m.outputs; o++)
            acc[i64(p) * m.outputs + o] =
                T(typename wrapping<T>::type(sums[i64(p) * outputs + o]) << m.shift);
    const bool ok = run(program, block, pixels);
    store(m.y, m.bytes, std::size_t(first) * m.outputs, block.reg(program.result),
          std::size_t(pixels) * m.outputs);
    return ok;
}

// ---- sums and maxima per channel ---------------------------------------------------------------

struct Reduction {
    const void *x;
    const i64 *weights;  // [taps][channels][multiplier]; null to add up or to find the maximum
    i32 x_bytes;
    i32 multiplier;
    i32 maximum;         // whether it is one
    i32 shift;
    i32 bytes;
    i64 pixels;
    void *y;
};

template <class T> void combine(const Reduction &r, int channels, const T *x, const i64 *w, T *acc) {
    typedef typename wrapping<T>::type U;
    if (w) {
        for (int c = 0; c < channels; c++)
            for (int k = 0; k < r.multiplier; k++)
                acc[c * r.multiplier + k] += U(x[c]) * U(w[c * r.multiplier + k]);
    } else if (r.maximum) {
        for (int c = 0; c < channels; c++)
            acc[c] = std::max(acc[c], x[c]);
    } else {
        for (int c = 0; c < channels; c++)
            acc[c] += x[c];
    }
}

template <class T>
void reduce_pixel(const Reduction &r, const Geometry &g, i64 pixel, T *x, T *acc) {
    const Place at = place(g, r.x, r.x_bytes, pixel);
    const int n = g.channels;
    std::fill(acc, acc + n * r.multiplier, r.maximum ? T(g.fill) : T(0));
    for (int i = 0; i < g.kernel_height; i++) {
        const int row = at.row + i * g.dilation_height;
        for (int j = 0; j < g.kernel_width; j++) {
            const int column = at.column + j * g.dilation_width;
            if (row < 0 || row >= g.height || column < 0 || column >= g.width)
                continue; // padding is neutral
            load(x, at.image, r.x_bytes, (std::size_t(row) * g.width + column) * n, n);
            const i64 tap = i64(i) * g.kernel_width + j;
            combine(r, n, x, r.weights ? r.weights + tap * n * r.multiplier : nullptr, acc);
        }
    }
    for (int c = 0; c < n * r.multiplier; c++)
        acc[c] = T(typename wrapping<T>::type(acc[c]) << r.shift);
}

template <class T>
bool reductions(const Reduction &r, const Geometry &g, const Program &program, i64 first, int pixels) {
    Block<T> block(program, CHUNK);
    T *x = scratch<T, 1>(g.channels);
    const int n = program.channels;
    for (int p = 0; p < pixels; p++)
        reduce_pixel(r, g, first + p, x, block.reg(0) + i64(p) * n);
    const bool ok = run(program, block, pixels);
    store(r.y, r.bytes, std::size_t(first) * n, block.reg(program.result), std::size_t(pixels) * n);
    return ok;
}

// ---- element-wise ------------------------------------------------------------------------------

struct Stream {
    const void *x;
    i64 bytes;
};

template <class T>
bool elements(const Stream *streams, int count, void *y, int bytes, const Program &program, i64 first,
              int pixels) {
    Block<T> block(program, CHUNK);
    const std::size_t n = program.channels, size = pixels * n;
    for (int k = 0; k < count; k++)
        load(block.reg(k), streams[k].x, int(streams[k].bytes), std::size_t(first) * n, size);
    const bool ok = run(program, block, pixels);
    store(y, bytes, std::size_t(first) * n, block.reg(program.result), size);
    return ok;
}

// Runs `task(first, pixels)` over all pixels in chunks; false if any returned false.
template <class F> bool in_chunks(i64 pixels, int threads, F task) {
    std::atomic<bool> ok(true);
    const i64 chunks = (pixels + CHUNK - 1) / CHUNK;
    #pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (i64 k = 0; k < chunks; k++)
        if (!task(k * CHUNK, int(std::min<i64>(CHUNK, pixels - k * CHUNK))))
            ok = false;
    return ok;
}

} // namespace

extern "C" {

bool calocc_matvec(const Matvec *m, const Geometry *g, const Program *program, int threads) {
    return in_chunks(m->pixels, threads, [=](i64 first, int pixels) {
        return program->wide ? products<i64>(*m, *g, *program, first, pixels)
                             : products<i32>(*m, *g, *program, first, pixels);
    });
}

bool calocc_reduce(const Reduction *r, const Geometry *g, const Program *program, int threads) {
    return in_chunks(r->pixels, threads, [=](i64 first, int pixels) {
        return program->wide ? reductions<i64>(*r, *g, *program, first, pixels)
                             : reductions<i32>(*r, *g, *program, first, pixels);
    });
}

bool calocc_map(const Stream *streams, int count, void *y, int bytes, i64 pixels,
                const Program *program, int threads) {
    return in_chunks(pixels, threads, [=](i64 first, int n) {
        return program->wide ? elements<i64>(streams, count, y, bytes, *program, first, n)
                             : elements<i32>(streams, count, y, bytes, *program, first, n);
    });
}

} // extern "C"
