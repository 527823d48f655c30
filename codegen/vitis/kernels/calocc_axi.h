#ifndef CALOCC_AXI_H_
#define CALOCC_AXI_H_

// Between words of memory, or packets of an AXI stream, and the beats of a design.
//
// In memory an element is its mantissa, extended to a slot of 8, 16, 32 or 64 bits. A beat fills a
// power of two of slots of a word, or whole words, and every event begins with a new word: no beat
// straddles words, so that a shift register is all that packing takes. Behind the events of an
// output stands one more word, the receipt: by it the host knows that all of a run has arrived, and
// from which design.
//
// Each function handles `events` events in one flattened loop, one iteration per cycle.

#include "calocc_packing.h"

#if defined(__has_include)
#if __has_include("ap_axi_sdata.h")
#define CALOCC_HAS_AXI_SDATA
#endif
#endif

#ifdef CALOCC_HAS_AXI_SDATA
#include "ap_axi_sdata.h"
#endif

namespace nnet {

static const unsigned word_bits = 512;
typedef ap_uint<word_bits> word;

#ifdef CALOCC_HAS_AXI_SDATA
typedef ap_axiu<word_bits, 0, 0, 0> packet;
#else
// What Vitis declares in ap_axi_sdata.h, for g++.
struct packet {
    word data;
    ap_uint<word_bits / 8> keep;
    ap_uint<word_bits / 8> strb;
    ap_uint<1> last;
};
#endif

// The least power of two that is not below N.
template <unsigned N> struct power_of_two {
    static const unsigned value = N <= 1 ? 1 : 2 * power_of_two<(N + 1) / 2>::value;
};
template <> struct power_of_two<0> {
    static const unsigned value = 1;
};
template <> struct power_of_two<1> {
    static const unsigned value = 1;
};

// How the beats of one event of a port lie in words.
template <class beat_t, unsigned n_beats> struct memory_port {
    typedef beat_t beat_T;
    typedef typename beat_t::value_type element_T;

    static const unsigned width = element_T::width;
    static const unsigned slot = width <= 8 ? 8 : width <= 16 ? 16 : width <= 32 ? 32 : 64;
    static const unsigned slots = word_bits / slot; // of a word
    static const unsigned lanes = beat_t::size;
    static const unsigned beats = n_beats;

    static const bool is_wide = lanes > slots; // a beat takes several words
    static const unsigned stride = is_wide ? slots : power_of_two<lanes>::value; // slots, per word
    static const unsigned beats_per_word = is_wide ? 1 : slots / stride;
    static const unsigned words_per_beat = (lanes + slots - 1) / slots;
    static const unsigned words = (beats + beats_per_word - 1) / beats_per_word * words_per_beat;
    static const unsigned steps = is_wide ? words : beats;

    static ap_int<slot> slot_of(const element_T &x) {
        #pragma HLS INLINE
        return ap_int<slot>(mantissa<element_T>::of(x));
    }
    // The elements of a beat that stand in its word number `part`.
    static void take(beat_T &beat, const word &from, unsigned part) {
        #pragma HLS INLINE
        for (unsigned l = 0; l < lanes; l++) {
            #pragma HLS UNROLL
            if (l / slots == part) {
                const unsigned low = l % slots * slot;
                const ap_uint<width> bits = from >> low;
                beat[l].range(width - 1, 0) = bits;
            }
        }
    }
    static word give(const beat_T &beat, unsigned part) {
        #pragma HLS INLINE
        word to = 0;
        for (unsigned l = 0; l < lanes; l++) {
            #pragma HLS UNROLL
            if (l / slots == part) {
                const unsigned low = l % slots * slot;
                to.range(low + slot - 1, low) = slot_of(beat[l]);
            }
        }
        return to;
    }
};

// One burst after the other from memory.
template <class port>
void read_words(const word *memory, hls::stream<word> &words, unsigned events) {
    for (unsigned i = 0; i < events * port::words; i++) {
        #pragma HLS PIPELINE II=1
        #pragma HLS LOOP_TRIPCOUNT min=port::words max=port::words
        words.write(memory[i]);
    }
}

template <class port>
void unpack(hls::stream<word> &words, hls::stream<typename port::beat_T> &beats, unsigned events) {
    word rest = 0;
    typename port::beat_T beat;
    unsigned step = 0;
    for (unsigned i = 0; i < events * port::steps; i++) {
        #pragma HLS PIPELINE II=1
        #pragma HLS LOOP_TRIPCOUNT min=port::steps max=port::steps
        if (step % port::beats_per_word == 0)
            rest = words.read();
        const unsigned part = step % port::words_per_beat;
        port::take(beat, rest, part);
        if (part == port::words_per_beat - 1)
            beats.write(beat);
        rest >>= port::is_wide ? 0 : port::stride * port::slot % word_bits;
        step = step == port::steps - 1 ? 0 : step + 1;
    }
}

template <class port>
void pack(hls::stream<typename port::beat_T> &beats, hls::stream<word> &words, unsigned events) {
    word filled = 0;
    typename port::beat_T beat;
    unsigned step = 0;
    for (unsigned i = 0; i < events * port::steps; i++) {
        #pragma HLS PIPELINE II=1
        #pragma HLS LOOP_TRIPCOUNT min=port::steps max=port::steps
        const unsigned part = step % port::words_per_beat;
        const unsigned place = step % port::beats_per_word;
        if (part == 0)
            beat = beats.read();
        filled = (place == 0 ? word(0) : filled)
                 | (port::give(beat, part) << (place * port::stride * port::slot));
        if (place == port::beats_per_word - 1 || step == port::steps - 1)
            words.write(filled);
        step = step == port::steps - 1 ? 0 : step + 1;
    }
}

// One burst after the other to memory, and the receipt.
template <class port>
void write_words(hls::stream<word> &words, word *memory, unsigned events, unsigned tag,
                 unsigned design) {
    word receipt = 0;
    receipt.range(31, 0) = design;
    receipt.range(63, 32) = tag;
    receipt.range(95, 64) = events;
    for (unsigned i = 0; i < events * port::words + 1; i++) {
        #pragma HLS PIPELINE II=1
        #pragma HLS LOOP_TRIPCOUNT min=port::words+1 max=port::words+1
        word next = receipt;
        if (i < events * port::words)
            next = words.read();
        memory[i] = next;
    }
}

// The words of one event from an AXI stream; where packets end is not looked at.
template <class port> void from_packets(hls::stream<packet> &packets, hls::stream<word> &words) {
    for (unsigned i = 0; i < port::words; i++) {
        #pragma HLS PIPELINE II=1
        words.write(packets.read().data);
    }
}

// The words of one event to an AXI stream, as one packet.
template <class port> void to_packets(hls::stream<word> &words, hls::stream<packet> &packets) {
    for (unsigned i = 0; i < port::words; i++) {
        #pragma HLS PIPELINE II=1
        packet next;
        next.data = words.read();
        next.keep = -1;
        next.strb = -1;
        next.last = i == port::words - 1;
        packets.write(next);
    }
}

} // namespace nnet

#endif
