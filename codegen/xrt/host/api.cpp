#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "model.h"

using namespace calocc;

struct calocc_model {
    Model model;
};

namespace {

thread_local int last_status = CALOCC_OK;
thread_local std::string last_error;

int fail(int status, const std::string &text) {
    last_status = status;
    last_error = text;
    return status;
}

// The status of what is thrown at this moment.
int fail() {
    try {
        throw;
    } catch (const Failure &failure) {
        return fail(failure.status, failure.what());
    } catch (const std::exception &error) {
        return fail(CALOCC_INTERNAL, error.what());
    } catch (...) {
        return fail(CALOCC_INTERNAL, "unknown");
    }
}

const Port &port_of(std::size_t port) {
    const std::size_t inputs = design().inputs.size();
    return port < inputs ? design().inputs[port] : design().outputs.at(port - inputs);
}

std::unique_ptr<Device> open_device(const calocc_options &options) {
    if (!options.kind || !options.image || options.batch == 0 || options.units == 0)
        throw Failure(CALOCC_BAD_ARGUMENT, "kind, image, batch and units must be given");
    if (std::strcmp(options.kind, "csim") == 0)
        return open_csim(design(), options.image, options.units);
    if (std::strcmp(options.kind, "xrt") == 0)
        return open_xrt(design(), options.image, options.device);
    throw Failure(CALOCC_BAD_ARGUMENT, std::string("there is no kind ") + options.kind);
}

} // namespace

calocc_model *open_model(std::unique_ptr<Device> device, const calocc_options &options) {
    const Settings settings{options.batch, options.retries,
                            std::chrono::milliseconds(options.timeout_ms)};
    return new calocc_model{{design(), std::move(device), settings}};
}

extern "C" {

calocc_options calocc_defaults(void) { return {nullptr, nullptr, 0, 1, 256, 10000, 2}; }

calocc_model *calocc_open(const calocc_options *options) {
    try {
        if (!options)
            throw Failure(CALOCC_BAD_ARGUMENT, "options must be given");
        return open_model(open_device(*options), *options);
    } catch (...) {
        fail();
        return nullptr;
    }
}

void calocc_close(calocc_model *model) { delete model; }

int calocc_predict(calocc_model *model, const double *const *inputs, double *const *outputs,
                   size_t events) {
    if (!model || !inputs || !outputs)
        return fail(CALOCC_BAD_ARGUMENT, "model, inputs and outputs must be given");
    try {
        model->model.predict(inputs, outputs, events);
        return CALOCC_OK;
    } catch (...) {
        for (std::size_t k = 0; k < design().outputs.size(); k++)
            std::fill_n(outputs[k], events * design().outputs[k].size,
                        std::numeric_limits<double>::quiet_NaN());
        return fail();
    }
}

size_t calocc_inputs(void) { return design().inputs.size(); }
size_t calocc_outputs(void) { return design().outputs.size(); }
const char *calocc_name(size_t port) { return port_of(port).name.c_str(); }
size_t calocc_size(size_t port) { return port_of(port).size; }

calocc_statistics calocc_count(calocc_model *model) { return model->model.count(); }

int calocc_last_status(void) { return last_status; }
const char *calocc_error(void) { return last_error.c_str(); }

} // extern "C"
