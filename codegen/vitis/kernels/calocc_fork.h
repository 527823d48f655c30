#ifndef CALOCC_FORK_H_
#define CALOCC_FORK_H_

#include "calocc_types.h"

namespace nnet {

template <class data_T> void write_all(const data_T &) {
    #pragma HLS INLINE
}

template <class data_T, class... rest_S>
void write_all(const data_T &beat, hls::stream<data_T> &first, rest_S &...rest) {
    #pragma HLS INLINE
    first.write(beat);
    write_all(beat, rest...);
}

// Copies a stream to any number of streams of the same beat type.
//
// CONFIG_T: n_beats. One iteration per beat; all copies of a beat leave together.
template <class data_T, typename CONFIG_T, class... out_S>
void fork(hls::stream<data_T> &in, out_S &...out) {
    for (unsigned i = 0; i < CONFIG_T::n_beats; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const data_T beat = in.read();
        write_all(beat, out...);
    }
}

} // namespace nnet

#endif
