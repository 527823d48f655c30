#ifndef CALOCC_TYPES_H_
#define CALOCC_TYPES_H_

// What all kernels share.
//
// Conventions of the library:
// * A tensor travels row-major; a beat is `nnet::array<T, lanes>`, `lanes` consecutive elements,
//   and `lanes` divides the last axis.
// * Where a config says `n_pixels` (or `in_pixels`, `out_pixels`), a beat holds lanes of that many
//   neighbouring pixels, one pixel after the other, and neither lanes nor pixels need divide their
//   axis. What lies beyond an axis may be anything: zeros, or what was there before.
// * A kernel is one flattened loop with a static bound; one iteration is one cycle. All state is
//   local to the call, so every call handles exactly one event.
// * `style=frp` asks for a pipeline that delivers its last results even when no further input
//   arrives. FIFO depths are computed under that assumption; a stalling pipeline could hold back
//   beats that another branch of the graph is waiting for.
// * Memories up to `lutram_depth` words are distributed RAM, deeper ones block RAM.

#include "ap_fixed.h"
#include "ap_int.h"
#include "hls_stream.h"
#include "nnet_types.h" // expects the ap_* types to be declared

// Counts loop iterations in software when CALOCC_COUNT is defined; nothing otherwise. Stands in the
// loop of a kernel with a CONFIG_T, of which every process has its own.
#ifdef CALOCC_COUNT
#define CALOCC_TICK() ++nnet::ticks<CONFIG_T>()
#else
#define CALOCC_TICK() ((void)0)
#endif

namespace nnet {

#ifdef __SYNTHESIS__
static const bool is_synthesis = true;
#else
static const bool is_synthesis = false;
#endif

#ifdef CALOCC_COUNT
// The number of loop iterations executed so far by the process with this configuration.
template <typename CONFIG_T> unsigned long &ticks() {
    static unsigned long count = 0;
    return count;
}
#endif

// The deepest memory that is still cheaper in LUTs than as half a block RAM, in words.
static const unsigned lutram_depth = 128;

// The shortest ring of a memory: in a pipeline its reads and writes overlap, so an entry must not
// come round again before it is written. Shorter ones are shift registers.
static const unsigned shortest_ring = 8;

// Memories for constants. UltraScale+ UltraRAM starts as zeros: `uram` weights have to be written
// at run time.
enum class storage { lutram, bram, uram };

// A position on the last axis, handed to epilogues and element functions. Converts to the plain
// channel number. A table declared [channels / lanes][lanes] with its second dimension
// partitioned and indexed [fold][lane] gives each lane its own bank; indexing a flat table by
// number needs a division by `lanes` to find the bank unless `lanes` is a power of two.
struct channel {
    unsigned fold;
    unsigned lane;
    unsigned lanes;
    operator unsigned() const { return fold * lanes + lane; }
};

// An entry of a table. An index beyond it can only belong to an element that is not there; hardware
// reads anything then, which simulation must not.
template <class T, unsigned N> T looked_up(const T (&table)[N], int index) {
    #pragma HLS INLINE
    return table[is_synthesis || (index >= 0 && index < int(N)) ? index : 0];
}

// The epilogue that only converts to the element type of the output.
template <class result_T> struct identity {
    template <class T> static result_T apply(const T &x, unsigned) {
        #pragma HLS INLINE
        return result_T(x);
    }
};

// Native integers for simulation: the narrowest that holds a number, and its unsigned version.
template <bool in_16, bool in_32> struct native {
    typedef long long type;
    typedef unsigned long long bits;
};
template <> struct native<false, true> {
    typedef int type;
    typedef unsigned bits;
};
template <> struct native<true, true> {
    typedef short type;
    typedef unsigned short bits;
};

// A mantissa of `width` bits, sign included, in a table. In simulation it is a native integer, a
// constant to the compiler: constructors of ap_int would run at the start, and g++ takes minutes
// over those of long tables.
template <unsigned width> struct entry {
#if defined(__SYNTHESIS__)
    typedef ap_int<width> type;
#else
    typedef typename native<(width <= 16), (width <= 32)>::type type;
#endif
};

// Sums of exact products w * x.
//
// Synthesis adds in accum_T. In simulation ap_fixed is many times slower than native integers and
// cannot be vectorized, so there operands are mantissas, which are summed and turned into accum_T
// at the end; both wrap alike if accum_T should be too narrow. CALOCC_FIXED_SUMS selects ap_fixed
// in simulation too.
template <class accum_T, class w_T, class x_T> struct products {
    static const int frac = (w_T::width - w_T::iwidth) + (x_T::width - x_T::iwidth);
    static const int spare = (accum_T::width - accum_T::iwidth) - frac;
    static_assert(spare >= 0, "accum_t must have all fraction bits of a product");

#if defined(__SYNTHESIS__) || defined(CALOCC_FIXED_SUMS)
    typedef x_T operand_t;
    typedef accum_T sum_t;
    static operand_t operand(const x_T &x) {
        #pragma HLS INLINE
        return x;
    }
    static sum_t product(const w_T &w, const operand_t &x) {
        #pragma HLS INLINE
        return w * x;
    }
    static accum_T total(const sum_t &sum) {
        #pragma HLS INLINE
        return sum;
    }
#else
    static_assert(accum_T::width < 64 && w_T::width + x_T::width < 64,
                  "simulation adds in 64 bits; define CALOCC_FIXED_SUMS");
    static const bool in_32 = accum_T::width <= 32 && w_T::width + x_T::width < 32;
    typedef typename native<(x_T::width < 16), (x_T::width < 32)>::type operand_t;
    typedef typename native<(w_T::width < 16), (w_T::width < 32)>::type weight_t;
    typedef typename native<false, in_32>::type product_t;
    typedef typename native<false, in_32>::bits sum_t; // unsigned: wraps where it overflows
    static operand_t operand(const x_T &x) { return static_cast<operand_t>(x.V); }
    static sum_t product(const w_T &w, operand_t x) {
        const product_t mantissa = static_cast<weight_t>(w.V);
        return static_cast<sum_t>(mantissa * static_cast<product_t>(x));
    }
    static accum_T total(sum_t sum) {
        const long long mantissa = static_cast<product_t>(sum);
        accum_T result;
        result.range() = ap_int<64>(mantissa * (1LL << spare));
        return result;
    }
#endif
};

// Parts of at most SIZE that N is cut into.
template <unsigned N, unsigned SIZE> struct parts_of {
    static const unsigned value = (N + SIZE - 1) / SIZE;
};

// Puts x in the place of an element, which is returned.
template <class T> T exchange(T &place, const T &x) {
    #pragma HLS INLINE
    const T old = place;
    place = x;
    return old;
}

// Shift registers: puts x at the end and returns the first.
template <class T, unsigned N> T shift(T (&registers)[N], const T &x) {
    #pragma HLS INLINE
    const T oldest = registers[0];
    for (unsigned n = 0; n + 1 < N; n++)
        registers[n] = registers[n + 1];
    registers[N - 1] = x;
    return oldest;
}

// Compile-time maximum.
template <unsigned A, unsigned B> struct max_of {
    static const unsigned value = A > B ? A : B;
};

// The number of binary digits of N.
template <unsigned N> struct bits_of {
    static const unsigned value = 1 + bits_of<N / 2>::value;
};
template <> struct bits_of<0> {
    static const unsigned value = 0;
};

} // namespace nnet

#endif
