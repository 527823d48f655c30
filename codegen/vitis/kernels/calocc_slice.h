#ifndef CALOCC_SLICE_H_
#define CALOCC_SLICE_H_

#include "calocc_types.h"

namespace nnet {

// A range of an axis: (n_outer, inner) to (n_outer, count), elements first to first + count - 1
// of each row. Equal lanes, dividing inner, first and count.
//
// CONFIG_T: n_outer, inner, first, count. One iteration per input beat; those in the range write.
template <class in_T, class out_T, typename CONFIG_T>
void slice(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    const unsigned L = in_T::size;
    const unsigned beats = CONFIG_T::inner / L;
    const unsigned begin = CONFIG_T::first / L;
    const unsigned end = begin + CONFIG_T::count / L;
    static_assert(out_T::size == L, "a slice keeps the lanes");
    static_assert(CONFIG_T::inner % L == 0, "lanes must divide inner");
    static_assert(CONFIG_T::first % L == 0, "lanes must divide first");
    static_assert(CONFIG_T::count % L == 0, "lanes must divide count");

    unsigned beat = 0;
    for (unsigned i = 0; i < CONFIG_T::n_outer * beats; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const in_T x = in.read();
        if (beat >= begin && beat < end) {
            out_T y;
            for (unsigned l = 0; l < L; l++)
                y[l] = x[l];
            out.write(y);
        }
        beat = beat + 1 < beats ? beat + 1 : 0;
    }
}

} // namespace nnet

#endif
