#ifndef CALOCC_WEIGHTS_H_
#define CALOCC_WEIGHTS_H_

// Simulation only: constants from text, as hls4ml projects keep them.

#ifndef __SYNTHESIS__

#include <cstdio>
#include <cstdlib>
#include <string>

#ifndef WEIGHTS_DIR
#define WEIGHTS_DIR "firmware/weights"
#endif
// Where Vitis copies the files of a test bench, beside the simulation.
#define WEIGHTS_BESIDE "weights"

namespace nnet {

// Fills an array of any shape with SIZE numbers, separated by commas, from a file in WEIGHTS_DIR or,
// where there is none, in WEIGHTS_BESIDE.
// A file that is missing or holds another number of them ends the program: nothing sensible could
// be computed.
template <class T, size_t SIZE, class array_T> void load_weights(array_T &weights, const char *name) {
    static_assert(sizeof(array_T) == SIZE * sizeof(T), "the array has SIZE elements");
    const std::string path = std::string(WEIGHTS_DIR) + "/" + name;
    FILE *file = std::fopen(path.c_str(), "r");
    if (!file)
        file = std::fopen((std::string(WEIGHTS_BESIDE) + "/" + name).c_str(), "r");
    T *next = reinterpret_cast<T *>(&weights);
    size_t count = 0;
    double value;
    while (file && std::fscanf(file, "%lf ,", &value) == 1) {
        if (count < SIZE)
            next[count] = value;
        count++;
    }
    if (file)
        std::fclose(file);
    if (count != SIZE) {
        std::fprintf(stderr, "error: %s holds %zu constants, not %zu\n", path.c_str(), count, SIZE);
        std::abort();
    }
}

} // namespace nnet

#endif
#endif
