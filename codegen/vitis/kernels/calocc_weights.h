#ifndef CALOCC_WEIGHTS_H_
#define CALOCC_WEIGHTS_H_

// Simulation only: constants from text, as hls4ml projects keep them.

#ifndef __SYNTHESIS__

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "calocc_types.h"

#ifndef WEIGHTS_DIR
#define WEIGHTS_DIR "firmware/weights"
#endif
// Where Vitis copies the files of a test bench, beside the simulation.
#define WEIGHTS_BESIDE "weights"

namespace nnet {

// The numbers of a file in WEIGHTS_DIR or, where there is none, in WEIGHTS_BESIDE: SIZE of them,
// separated by commas. A file that is missing or holds another number of them ends the program:
// nothing sensible could be computed.
inline std::vector<double> numbers_of(const char *name, size_t size) {
    const std::string path = std::string(WEIGHTS_DIR) + "/" + name;
    FILE *file = std::fopen(path.c_str(), "r");
    if (!file)
        file = std::fopen((std::string(WEIGHTS_BESIDE) + "/" + name).c_str(), "r");
    std::vector<double> numbers;
    double value;
    while (file && std::fscanf(file, "%lf ,", &value) == 1)
        numbers.push_back(value);
    if (file)
        std::fclose(file);
    if (numbers.size() != size) {
        std::fprintf(stderr, "error: %s holds %zu constants, not %zu\n", path.c_str(),
                     numbers.size(), size);
        std::abort();
    }
    return numbers;
}

// Bits behind the point; none for integers.
template <class T> struct fraction {
    static const int bits = 0;
};
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct fraction<ap_fixed<W, I, Q, O, N>> {
    static const int bits = W - I;
};
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct fraction<ap_ufixed<W, I, Q, O, N>> {
    static const int bits = W - I;
};

// Fills an array of any shape with the SIZE numbers of a file, each of which T can hold. They are set
// as mantissas: conversions of ap_fixed from double are long, and compiled anew for each T.
template <class T, size_t SIZE, class array_T> void load_weights(array_T &weights, const char *name) {
    static_assert(sizeof(array_T) == SIZE * sizeof(T), "the array has SIZE elements");
    const std::vector<double> numbers = numbers_of(name, SIZE);
    T *next = reinterpret_cast<T *>(&weights);
    for (size_t i = 0; i < SIZE; i++)
        next[i].V = static_cast<long long>(std::ldexp(numbers[i], fraction<T>::bits));
}

} // namespace nnet

#endif
#endif
