// The emulator's compiled part: runs networks of steps on events.
//
// A thread takes some events through all steps before it takes the next ones, so that their values
// stay in its cache. Where there are fewer events than threads, the threads share each step.

#include <atomic>
#include <thread>

#include "elements.h"
#include "moves.h"
#include "products.h"
#include "reductions.h"

namespace {

enum StepKind : i32 { PRODUCTS, REDUCTION, ELEMENTS, MOVE };

struct Step {
    i64 kind;
    const void *body;
};

template <class F> auto with_body(const Step &step, F f) {
    switch (step.kind) {
    case PRODUCTS: return f(*static_cast<const Products *>(step.body));
    case REDUCTION: return f(*static_cast<const Reduction *>(step.body));
    case ELEMENTS: return f(*static_cast<const Elements *>(step.body));
    default: return f(*static_cast<const Move *>(step.body));
    }
}

i64 tasks(const Step &step, const Frame &frame) {
    return with_body(step, [&](const auto &body) { return body.tasks(frame); });
}

bool run(const Step &step, const Frame &frame, i64 task) {
    return with_body(step, [&](const auto &body) { return body.run(frame, task); });
}

// A value lies in an array of the caller's or in the arena.
struct Value {
    i64 bytes;    // per event
    i64 array;    // -1: in the arena
    i64 offset;   // in the arena, for one event
};

struct Network {
    const Step *steps;
    i64 count;
    const Value *values;
    i64 value_count;
    i64 arena;    // bytes per event
};

// Where the values of a block of events are.
class Places {
    std::vector<char *> places;
    std::vector<i64> bytes;

public:
    Places(const Network &network, char *const *arrays, char *arena, i64 first, i64 events) {
        for (i64 k = 0; k < network.value_count; k++) {
            const Value &v = network.values[k];
            places.push_back(v.array < 0 ? arena + v.offset * events
                                         : arrays[v.array] + v.bytes * first);
            bytes.push_back(v.bytes);
        }
    }
    Frame frame(i64 events) const { return {places.data(), bytes.data(), events}; }
};

i64 events_at_once(const Network &network, i64 events, int threads) {
    const i64 cached = 512 * 1024, most = 64;
    const i64 fair = (events + threads - 1) / threads;
    return std::max<i64>(1, std::min({cached / std::max<i64>(network.arena, 1), most, fair}));
}

// ---- each thread has events of its own ---------------------------------------------------------

bool run_blocks(const Network &network, char *const *arrays, i64 events, int threads) {
    std::atomic<bool> ok(true);
    const i64 size = events_at_once(network, events, threads), blocks = (events + size - 1) / size;
    #pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (i64 block = 0; block < blocks; block++) {
        const i64 first = block * size, n = std::min(size, events - first);
        char *arena = scratch<char, 0>(network.arena * n);
        const Places places(network, arrays, arena, first, n);
        const Frame frame = places.frame(n);
        for (i64 k = 0; k < network.count; k++)
            for (i64 task = 0; task < tasks(network.steps[k], frame); task++)
                if (!run(network.steps[k], frame, task))
                    ok = false;
    }
    return ok;
}

// ---- threads share each step -------------------------------------------------------------------

struct Progress {
    std::atomic<i64> begun{0}, done{0};
};

// A thread that comes late finds nothing to do, and none waits for it.
bool share_steps(const Network &network, const Frame &frame, std::vector<Progress> &progress) {
    bool ok = true;
    for (i64 k = 0; k < network.count; k++) {
        const i64 count = tasks(network.steps[k], frame);
        for (i64 task; (task = progress[k].begun++) < count; progress[k].done++)
            ok &= run(network.steps[k], frame, task);
        while (progress[k].done < count)
            std::this_thread::yield();
    }
    return ok;
}

bool run_together(const Network &network, char *const *arrays, i64 events, int threads) {
    std::atomic<bool> ok(true);
    char *arena = scratch<char, 0>(network.arena * events);
    const Places places(network, arrays, arena, 0, events);
    const Frame frame = places.frame(events);
    std::vector<Progress> progress(network.count);
    #pragma omp parallel num_threads(threads)
    if (!share_steps(network, frame, progress))
        ok = false;
    return ok;
}

} // namespace

extern "C" {

// Whether products of 8 bits are faster than those of 16.
bool calocc_has_quads() {
#if defined(CALOCC_QUADS)
    return true;
#else
    return false;
#endif
}

// Runs a network on the events of its arrays; false if a lookup left its table.
bool calocc_run(const Network *network, char *const *arrays, i64 events, int threads) {
    return events < threads ? run_together(*network, arrays, events, threads)
                            : run_blocks(*network, arrays, events, threads);
}

} // extern "C"
