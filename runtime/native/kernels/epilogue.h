// Epilogues: short programs of element-wise operations on blocks of pixels x channels.

#pragma once

#include <cstdlib>

#include "frame.h"

// A register, or a constant with a value per channel, to be shifted left to the binary point of
// the result.
struct Operand {
    i32 reg;  // -1 for a constant
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
    const void *table;
};

struct Program {
    const Instruction *instructions;
    i32 count;
    i32 registers;
    i32 result;    // the register that holds it
    i32 channels;
    i32 period;    // elements of a constant: the channels, repeated to make loops long
    i32 wide;      // whether registers have 64 bits

    i64 block_pixels() const {
        const i64 block = 1024;  // elements of a register that stay in the cache
        return std::max<i64>(block / period, 1) * (period / channels);
    }
};

template <int rounding, class T> T round_off(T m, int shift) {
    const T half = T(1) << (shift - 1);
    switch (rounding) {
    case TRN: return m >> shift;
    case TRN_ZERO: return (m + (m < 0 ? (T(1) << shift) - 1 : 0)) >> shift;
    case RND: return (m + half) >> shift;
    case RND_ZERO: return (m + half - 1 + (m < 0)) >> shift;
    case RND_MIN_INF: return (m + half - 1) >> shift;
    case RND_INF: return (m + half - (m < 0)) >> shift;
    default: return (m + half - 1 + ((m >> shift) & 1)) >> shift;
    }
}

// An instruction on `size` elements of registers that begin `distance` elements apart.
template <class T> class Execution {
    typedef typename wrapping<T>::type U;
    const Instruction &in;
    const int period, channels;
    const i64 size;
    const T *a, *b, *c;
    T *const y;

    const T *place(const Operand &o, T *registers, i64 distance) const {
        return o.reg < 0 ? static_cast<const T *>(o.constant) : registers + o.reg * distance;
    }

    // y = f(a, b, c) for each element, period by period as constants begin again with each.
    template <class F> void each(F f) const {
        for (i64 start = 0; start < size; start += period) {
            const T *x0 = a + (in.a.reg < 0 ? 0 : start);
            const T *x1 = b + (in.b.reg < 0 ? 0 : start);
            const T *x2 = c + (in.c.reg < 0 ? 0 : start);
            T *result = y + start;
            const int n = int(std::min<i64>(period, size - start));
            #pragma GCC ivdep
            for (int k = 0; k < n; k++)
                result[k] = f(x0[k], x1[k], x2[k]);
        }
    }

public:
    Execution(const Instruction &in, const Program &program, T *registers, i64 distance, i64 size)
        : in(in), period(program.period), channels(program.channels), size(size),
          a(place(in.a, registers, distance)), b(place(in.b, registers, distance)),
          c(place(in.c, registers, distance)), y(registers + in.result * distance) {}

    // False if a table is left.
    bool run() const {
        const int sa = in.a.shift, sb = in.b.shift, sc = in.c.shift, s = in.shift;
        const auto left = [](T x, int bits) { return shifted_left(x, bits); };
        switch (in.op) {
        case ADD:
            each([=](T x, T z, T) { return T(U(left(x, sa)) + U(left(z, sb))); });
            break;
        case SUBTRACT:
            each([=](T x, T z, T) { return T(U(left(x, sa)) - U(left(z, sb))); });
            break;
        case MULTIPLY: each([=](T x, T z, T) { return left(T(U(x) * U(z)), s); }); break;
        case MAXIMUM: each([=](T x, T z, T) { return std::max(left(x, sa), left(z, sb)); }); break;
        case MINIMUM: each([=](T x, T z, T) { return std::min(left(x, sa), left(z, sb)); }); break;
        case RELU: each([=](T x, T, T) { return left(std::max(x, T(0)), sa); }); break;
        case AFFINE:
            each([=](T x, T scale, T offset) {
                return T(U(left(T(U(x) * U(scale)), s)) + U(left(offset, sc)));
            });
            break;
        case LEAKY_RELU:
            each([=](T x, T slope, T) {
                return x < 0 ? left(T(U(x) * U(slope)), s) : left(x, sa);
            });
            break;
        case GATE:
            each([=](T x, T at, T slope) {
                const T value = left(x, sa), threshold = left(at, sb);
                return value > threshold ? left(value, sc)
                                         : left(T(U(value - threshold) * U(slope)), s);
            });
            break;
        case IS_ZERO: each([=](T x, T, T) { return x == 0 ? left(1, s) : T(0); }); break;
        case QUANTIZE: quantize(); break;
        case THRESHOLD: thresholds(); break;
        default: return lookup();
        }
        return true;
    }

private:
    void quantize() const {
        if (in.shift <= 0)
            return gain(-in.shift);
        switch (in.rounding) {
        case TRN: return rounded<TRN>();
        case TRN_ZERO: return rounded<TRN_ZERO>();
        case RND: return rounded<RND>();
        case RND_ZERO: return rounded<RND_ZERO>();
        case RND_MIN_INF: return rounded<RND_MIN_INF>();
        case RND_INF: return rounded<RND_INF>();
        default: return rounded<RND_CONV>();
        }
    }

    template <int rounding> void rounded() const {
        const int s = in.shift;
        const T lo = T(in.lo), hi = T(in.hi);
        if (in.overflow == CLIP)
            each([=](T x, T, T) {
                return std::min(std::max(round_off<rounding>(x, s), lo), hi);
            });
        else if (in.overflow == SAT_ZERO)
            each([=](T x, T, T) {
                const T m = round_off<rounding>(x, s);
                return m < lo || m > hi ? T(0) : m;
            });
        else
            wrapped([=](T x) { return round_off<rounding>(x, s); });
    }

    // The low bits of f(x), read as a number of the format.
    template <class F> void wrapped(F f) const {
        const int unused = int(8 * sizeof(T)) - std::abs(in.width);
        if (in.width > 0)
            each([=](T x, T, T) { return T(U(f(x)) << unused) >> unused; });
        else
            each([=](T x, T, T) { return T(U(f(x)) << unused >> unused); });
    }

    void gain(int bits) const {
        if (in.overflow == WRAP)
            return wrapped([=](T x) { return shifted_left(x, bits); });
        const T lo = T(in.lo), hi = T(in.hi);
        const T least = -(-lo >> bits), most = hi >> bits;
        const bool zero = in.overflow == SAT_ZERO;
        const T under = zero ? T(0) : lo, over = zero ? T(0) : hi;
        each([=](T x, T, T) {
            return x < least ? under : x > most ? over : shifted_left(x, bits);
        });
    }

    // The table holds [threshold][period], so that the channels are compared side by side.
    void thresholds() const {
        const T base = T(in.base);
        each([=](T, T, T) { return base; });
        const T *row = static_cast<const T *>(in.table);
        for (i64 t = 0; t < in.size; t++, row += period)
            for (i64 start = 0; start < size; start += period)
                for (i64 k = 0; k < std::min<i64>(period, size - start); k++)
                    y[start + k] += a[start + k] >= row[k];
    }

    bool lookup() const {
        const T *table = static_cast<const T *>(in.table);
        bool ok = true;
        for (i64 k = 0; k < size; k++) {
            const i64 index = i64(a[k]) - in.base;
            const bool inside = index >= 0 && index < in.size;
            ok = ok && inside;
            y[k] = inside ? table[k % channels * in.stride + index] : T(0);
        }
        return ok;
    }
};

// What happens to the pixels that a step computes.
struct Sink {
    const Program *program;
    const Stream *streams;  // further operands, one per register
    i32 count;
    i32 computed;           // registers in front of theirs, which the step fills itself
    i32 value;              // the result
    i32 kind;
    i64 pixels;             // per event

    // Runs the program on pixels `first` to `first + count - 1`, counted through all events.
    // `fill(done, n, registers)` computes n of them behind the first `done`.
    template <class T, class F>
    bool finish(const Frame &frame, i64 first, i64 count, F fill) const {
        const Program &p = *program;
        const i64 most = p.block_pixels(), distance = most * p.channels;
        T *registers = scratch<T, 0>(p.registers * distance);
        bool ok = true;
        for (i64 done = 0; done < count; done += most) {
            const i64 n = std::min(most, count - done);
            fill(done, n, registers);
            for (int k = 0; k < this->count; k++)
                read(streams[k], frame, pixels, p.channels, first + done, n,
                     registers + (computed + k) * distance);
            for (int k = 0; k < p.count; k++)
                ok &= Execution<T>(p.instructions[k], p, registers, distance, n * p.channels).run();
            write(value, kind, frame, pixels, p.channels, first + done, n,
                  registers + p.result * distance);
        }
        return ok;
    }
};

// A piece of a step: pixels that one thread computes at once.
struct Piece {
    i64 first, count;
};

inline i64 pieces(const Sink &sink, const Frame &frame, i64 size) {
    return (sink.pixels * frame.events + size - 1) / size;
}

inline Piece piece(const Sink &sink, const Frame &frame, i64 size, i64 number) {
    const i64 first = number * size;
    return {first, std::min(size, sink.pixels * frame.events - first)};
}
