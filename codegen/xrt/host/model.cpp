#include "model.h"

#include <algorithm>
#include <cstring>

namespace calocc {

namespace {

const unsigned runs_per_unit = 2;

struct Receipt {
    std::uint32_t design, tag, events;
};

} // namespace

struct Model::Call {
    const double *const *inputs;
    double *const *outputs;
    std::size_t batches; // that are not finished
    std::exception_ptr failure;
};

Model::Model(const Design &design, std::unique_ptr<Device> device, const Settings &settings)
    : design_(design), device_(std::move(device)), settings_(settings) {
    for (unsigned unit = 0; unit < device_->units(); unit++) { // no events: the receipt tells
        const auto run = device_->run(unit, 1);
        const unsigned tag = tag_++;
        run->execute(0, tag, settings_.timeout);
        check(*run, 0, tag);
    }
    for (unsigned k = 0; k < runs_per_unit * device_->units(); k++)
        workers_.emplace_back(&Model::work, this, k % device_->units());
}

Model::~Model() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        closing_ = true;
    }
    ready_.notify_all();
    for (std::thread &worker : workers_)
        worker.join();
}

void Model::predict(const double *const *inputs, double *const *outputs, std::size_t events) {
    Call call{inputs, outputs, (events + settings_.batch - 1) / settings_.batch, nullptr};
    std::unique_lock<std::mutex> lock(mutex_);
    for (std::size_t first = 0; first < events; first += settings_.batch) {
        const std::size_t count = std::min<std::size_t>(settings_.batch, events - first);
        queue_.push_back({&call, first, static_cast<unsigned>(count), 0});
    }
    ready_.notify_all();
    done_.wait(lock, [&] { return call.batches == 0; });
    if (call.failure)
        std::rethrow_exception(call.failure);
    calls_++;
    events_ += events;
}

void Model::work(unsigned unit) {
    std::unique_ptr<Run> run;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
        ready_.wait(lock, [&] { return closing_ || !queue_.empty(); });
        if (queue_.empty())
            return;
        Batch batch = queue_.front();
        queue_.pop_front();
        if (batch.call->failure) { // another batch of the call has failed for good
            finish(batch, nullptr);
            continue;
        }
        lock.unlock();
        std::exception_ptr failure;
        bool again = false;
        try {
            attempt(run, unit, batch);
        } catch (const Failure &error) {
            failure = std::current_exception();
            again = error.is_passing() && batch.attempts < settings_.retries;
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure)
            run.reset(); // the device may still write to its buffers
        lock.lock();
        if (again) {
            retries_++;
            batch.attempts++;
            queue_.push_front(batch);
            ready_.notify_one();
        } else {
            finish(batch, failure);
        }
    }
}

void Model::attempt(std::unique_ptr<Run> &run, unsigned unit, const Batch &batch) {
    if (!run)
        run = device_->run(unit, settings_.batch);
    for (std::size_t k = 0; k < design_.inputs.size(); k++) {
        const Port &port = design_.inputs[k];
        for (std::size_t e = 0; e < batch.events; e++) {
            const double *event = batch.call->inputs[k] + (batch.first + e) * port.size;
            if (!pack(port, event, run->input(k) + e * port.bytes()))
                throw Failure(CALOCC_BAD_ARGUMENT,
                              "input " + port.name + " of event "
                                  + std::to_string(batch.first + e) + " is not finite");
        }
    }
    const unsigned tag = tag_++;
    runs_++;
    run->execute(batch.events, tag, settings_.timeout);
    check(*run, batch.events, tag);
    for (std::size_t k = 0; k < design_.outputs.size(); k++) {
        const Port &port = design_.outputs[k];
        for (std::size_t e = 0; e < batch.events; e++)
            unpack(port, run->output(k) + e * port.bytes(),
                   batch.call->outputs[k] + (batch.first + e) * port.size);
    }
}

// All outputs must end with the receipt of this run; throws Failure.
void Model::check(Run &run, unsigned events, unsigned tag) const {
    for (std::size_t k = 0; k < design_.outputs.size(); k++) {
        Receipt receipt;
        std::memcpy(&receipt, run.output(k) + events * design_.outputs[k].bytes(), sizeof(receipt));
        if (receipt.tag != tag || receipt.events != events)
            throw Failure(CALOCC_SHORT_READ,
                          "output " + design_.outputs[k].name + " did not arrive completely");
        if (receipt.design != design_.id)
            throw Failure(CALOCC_WRONG_IMAGE, "the kernel is that of another design");
    }
}

// With the mutex held.
void Model::finish(const Batch &batch, std::exception_ptr failure) {
    if (failure && !batch.call->failure)
        batch.call->failure = failure;
    if (--batch.call->batches == 0)
        done_.notify_all();
}

calocc_statistics Model::count() const { return {calls_, events_, runs_, retries_}; }

} // namespace calocc
