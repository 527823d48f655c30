// The inputs and outputs of a design, and how their events lie in memory.

#ifndef CALOCC_PORTS_H_
#define CALOCC_PORTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace calocc {

const std::size_t word_bytes = 64;

// Those of ap_fixed.
enum class Rounding { trn, trn_zero, rnd, rnd_zero, rnd_min_inf, rnd_inf, rnd_conv };
enum class Overflow { wrap, sat, sat_sym, sat_zero };

// A number is mantissa * 2^-frac, the mantissa has `width` bits. In memory it fills a slot; `lanes`
// elements are a beat, and `stride` slots lie between the beginnings of beats (see calocc_axi.h).
// An input x is scaled to (x - offset) * scale first; both hold one number per element, or are
// empty.
struct Port {
    std::string name;
    std::size_t size; // elements of an event
    bool is_signed;
    int width, frac;
    Rounding rounding;
    Overflow overflow;
    std::size_t slot_bytes, lanes, stride, words;
    std::vector<double> offset, scale;

    std::size_t bytes() const { return words * word_bytes; }
};

struct Design {
    std::string name;
    std::uint32_t id;
    std::vector<Port> inputs, outputs;
};

// The design that this library is made for.
const Design &design();

// Call the simulated kernel with pointers to the memory of its inputs and outputs.
void call_kernel(void *symbol, void *const *memory, unsigned events, unsigned tag);

// The mantissa nearest to a finite number, in the sense of the port's rounding and overflow.
std::int64_t quantize(const Port &port, double x);

// Scale and quantize one event into memory; false if a number is not finite.
bool pack(const Port &port, const double *event, unsigned char *memory);

// The numbers of one event in memory.
void unpack(const Port &port, const unsigned char *memory, double *event);

} // namespace calocc

#endif
