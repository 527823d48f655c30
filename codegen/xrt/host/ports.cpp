#include "ports.h"

#include <cmath>
#include <cstring>

namespace calocc {

namespace {

// Whether a number half way between two whole ones goes to the one that is further from zero.
bool tie_goes_away(double x, double nearer, Rounding rounding) {
    switch (rounding) {
    case Rounding::rnd:
        return x > 0;
    case Rounding::rnd_min_inf:
        return x < 0;
    case Rounding::rnd_inf:
        return true;
    case Rounding::rnd_conv:
        return std::fmod(nearer, 2) != 0;
    default:
        return false;
    }
}

double round(double x, Rounding rounding) {
    const double nearer = std::trunc(x); // to zero
    const double rest = std::fabs(x - nearer); // exact, as from the floor it would not be
    const double further = x < 0 ? nearer - 1 : nearer + 1;
    if (rounding == Rounding::trn_zero)
        return nearer;
    if (rounding == Rounding::trn)
        return x < 0 && rest > 0 ? further : nearer;
    if (rest == 0.5)
        return tie_goes_away(x, nearer, rounding) ? further : nearer;
    return rest > 0.5 ? further : nearer;
}

// The low bits of a whole number, as a mantissa.
std::int64_t wrap(const Port &port, double whole) {
    const double rest = std::fmod(whole, std::ldexp(1.0, 64)); // exact, with the sign of `whole`
    const std::uint64_t magnitude = static_cast<std::uint64_t>(std::fabs(rest));
    const std::uint64_t bits = (rest < 0 ? 0 - magnitude : magnitude) << (64 - port.width);
    return port.is_signed ? static_cast<std::int64_t>(bits) >> (64 - port.width)
                          : static_cast<std::int64_t>(bits >> (64 - port.width));
}

std::int64_t saturate(const Port &port, double whole) {
    const std::int64_t most = (std::int64_t(1) << (port.width - port.is_signed)) - 1;
    const std::int64_t least = port.is_signed ? -most - 1 : 0;
    const bool under = whole < static_cast<double>(least);
    const bool over = whole >= std::ldexp(1.0, port.width - port.is_signed);
    if (port.overflow == Overflow::sat_zero && (under || over))
        return 0;
    const std::int64_t end = port.overflow == Overflow::sat_sym && port.is_signed ? -most : least;
    const std::int64_t inside = under ? end : over ? most : static_cast<std::int64_t>(whole);
    return inside < end ? end : inside;
}

// Numbers of a slot and back; the host has the byte order of the card, little endian.
template <class slot_t> void store(unsigned char *memory, std::size_t slot, std::int64_t value) {
    const slot_t bits = static_cast<slot_t>(value);
    std::memcpy(memory + slot * sizeof(slot_t), &bits, sizeof(slot_t));
}

template <class signed_t, class unsigned_t>
std::int64_t fetch(const Port &port, const unsigned char *memory, std::size_t slot) {
    unsigned_t bits;
    std::memcpy(&bits, memory + slot * sizeof(bits), sizeof(bits));
    return port.is_signed ? std::int64_t(static_cast<signed_t>(bits)) : std::int64_t(bits);
}

} // namespace

std::int64_t quantize(const Port &port, double x) {
    const double whole = round(std::ldexp(x, port.frac), port.rounding);
    return port.overflow == Overflow::wrap ? wrap(port, whole) : saturate(port, whole);
}

bool pack(const Port &port, const double *event, unsigned char *memory) {
    bool finite = true;
    for (std::size_t k = 0; k < port.size; k++) {
        double x = event[k];
        if (!port.scale.empty())
            x = (x - port.offset[k]) * port.scale[k];
        finite = finite && std::isfinite(x);
        const std::int64_t value = finite ? quantize(port, x) : 0;
        const std::size_t slot = k / port.lanes * port.stride + k % port.lanes;
        switch (port.slot_bytes) {
        case 1:
            store<std::uint8_t>(memory, slot, value);
            break;
        case 2:
            store<std::uint16_t>(memory, slot, value);
            break;
        case 4:
            store<std::uint32_t>(memory, slot, value);
            break;
        default:
            store<std::uint64_t>(memory, slot, value);
        }
    }
    return finite;
}

void unpack(const Port &port, const unsigned char *memory, double *event) {
    for (std::size_t k = 0; k < port.size; k++) {
        const std::size_t slot = k / port.lanes * port.stride + k % port.lanes;
        std::int64_t value;
        switch (port.slot_bytes) {
        case 1:
            value = fetch<std::int8_t, std::uint8_t>(port, memory, slot);
            break;
        case 2:
            value = fetch<std::int16_t, std::uint16_t>(port, memory, slot);
            break;
        case 4:
            value = fetch<std::int32_t, std::uint32_t>(port, memory, slot);
            break;
        default:
            value = fetch<std::int64_t, std::uint64_t>(port, memory, slot);
        }
        event[k] = std::ldexp(static_cast<double>(value), -port.frac);
    }
}

} // namespace calocc
