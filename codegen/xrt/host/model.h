// Events through a device: batches in flight on all compute units, in order and complete.

#ifndef CALOCC_MODEL_H_
#define CALOCC_MODEL_H_

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "device.h"

namespace calocc {

struct Settings {
    unsigned batch, retries;
    std::chrono::milliseconds timeout;
};

// Every compute unit has two runs, each with a thread: while one computes, the other packs and
// unpacks. A batch whose run failed goes back to the head of the queue; what is written to the
// caller's arrays has come with the receipt of its own run.
class Model {
  public:
    // Throws Failure: wrong image, or what the first run meets.
    Model(const Design &design, std::unique_ptr<Device> device, const Settings &settings);
    ~Model();
    Model(const Model &) = delete;
    Model &operator=(const Model &) = delete;

    // Throws Failure; then the outputs are worth nothing. For any number of threads at once.
    void predict(const double *const *inputs, double *const *outputs, std::size_t events);

    calocc_statistics count() const;

  private:
    struct Call;
    struct Batch {
        Call *call;
        std::size_t first;
        unsigned events, attempts;
    };

    void work(unsigned unit);
    void attempt(std::unique_ptr<Run> &run, unsigned unit, const Batch &batch);
    void check(Run &run, unsigned events, unsigned tag) const;
    void finish(const Batch &batch, std::exception_ptr failure);

    const Design &design_;
    const std::unique_ptr<Device> device_;
    const Settings settings_;
    std::mutex mutex_;
    std::condition_variable ready_, done_;
    std::deque<Batch> queue_;
    bool closing_ = false;
    std::atomic<unsigned> tag_{1};
    std::atomic<unsigned long long> calls_{0}, events_{0}, runs_{0}, retries_{0};
    std::vector<std::thread> workers_;
};

} // namespace calocc

#endif
