// For tests of the host library: a simulated device whose runs fail when they are told to, and a
// way to quantize arrays.

#include <atomic>
#include <cstring>
#include <vector>

#include "device.h"

calocc_model *open_model(std::unique_ptr<calocc::Device> device, const calocc_options &options);

namespace {

using namespace calocc;

const int wrong_design = 100; // besides the values of calocc_status

// Run k fails as faults[k] says, and so does run k + size, if `faults` repeats.
struct Plan {
    std::vector<int> faults;
    bool repeats;
    std::atomic<unsigned> next{0};
    int take() {
        const unsigned k = next++;
        return k < faults.size() || repeats ? faults[k % faults.size()] : 0;
    }
};

class FaultyRun : public Run {
  public:
    FaultyRun(std::unique_ptr<Run> run, std::shared_ptr<Plan> plan, unsigned events)
        : run_(std::move(run)), plan_(std::move(plan)) {
        for (const Port &port : design().outputs)
            outputs_.emplace_back(events * port.bytes() + word_bytes);
    }
    unsigned char *input(std::size_t k) override { return run_->input(k); }
    const unsigned char *output(std::size_t k) override { return outputs_[k].data(); }
    void execute(unsigned events, unsigned tag, std::chrono::milliseconds timeout) override {
        if (failed_)
            throw std::logic_error("a run that failed was used again");
        const int fault = events ? plan_->take() : 0; // the first run has no events
        failed_ = fault != 0;
        if (fault == CALOCC_KERNEL_ERROR)
            throw Failure(CALOCC_KERNEL_ERROR, "injected kernel error");
        run_->execute(events, tag, timeout);
        if (fault == CALOCC_TIMEOUT)
            throw Failure(CALOCC_TIMEOUT, "injected timeout");
        for (std::size_t k = 0; k < outputs_.size(); k++)
            receive(k, events * design().outputs[k].bytes() + word_bytes, fault);
    }

  private:
    // A short read leaves behind what has been there before.
    void receive(std::size_t k, std::size_t bytes, int fault) {
        const std::size_t arrived = fault == CALOCC_SHORT_READ ? bytes / 2 : bytes;
        std::memcpy(outputs_[k].data(), run_->output(k), arrived);
        if (fault == wrong_design)
            outputs_[k][bytes - word_bytes] ^= 1;
    }
    std::unique_ptr<Run> run_;
    std::shared_ptr<Plan> plan_;
    std::vector<std::vector<unsigned char>> outputs_;
    bool failed_ = false;
};

class FaultyDevice : public Device {
  public:
    FaultyDevice(std::unique_ptr<Device> device, std::shared_ptr<Plan> plan)
        : device_(std::move(device)), plan_(std::move(plan)) {}
    unsigned units() const override { return device_->units(); }
    std::unique_ptr<Run> run(unsigned unit, unsigned events) override {
        return std::make_unique<FaultyRun>(device_->run(unit, events), plan_, events);
    }

  private:
    std::unique_ptr<Device> device_;
    std::shared_ptr<Plan> plan_;
};

} // namespace

extern "C" {

calocc_model *calocc_open_faulty(const calocc_options *options, const int *faults, unsigned count,
                                 int repeats) {
    auto plan = std::make_shared<Plan>();
    plan->faults.assign(faults, faults + count);
    plan->repeats = repeats;
    auto device = open_csim(design(), options->image, options->units);
    return open_model(std::make_unique<FaultyDevice>(std::move(device), plan), *options);
}

void quantize_all(const double *x, long long *to, unsigned count, int is_signed, int width,
                  int frac, int rounding, int overflow) {
    const Port port{"", count, is_signed != 0, width, frac, Rounding(rounding), Overflow(overflow),
                    8, 1, 1, 1, {}, {}};
    for (unsigned k = 0; k < count; k++)
        to[k] = quantize(port, x[k]);
}

} // extern "C"
