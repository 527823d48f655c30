/* The C interface of the host library of a design.
 *
 * One model may be used by several threads at once. Events come first in every array and stand one
 * after the other, row-major; inputs are scaled and quantized here. Functions that fail return NULL
 * or a status other than CALOCC_OK, and calocc_error() says why, for the calling thread. */
#ifndef CALOCC_H_
#define CALOCC_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum calocc_status {
    CALOCC_OK = 0,
    CALOCC_BAD_ARGUMENT = 1, /* a null pointer, or an input that is not finite */
    CALOCC_NO_DEVICE = 2,    /* no card, or no XRT */
    CALOCC_WRONG_IMAGE = 3,  /* an image that is missing, damaged, or of another design */
    CALOCC_KERNEL_ERROR = 4, /* the kernel failed, as often as it was tried */
    CALOCC_TIMEOUT = 5,      /* the kernel did not end in time, as often as it was tried */
    CALOCC_SHORT_READ = 6,   /* results did not arrive completely, as often as it was tried */
    CALOCC_INTERNAL = 7
};

typedef struct calocc_model calocc_model;

typedef struct {
    const char *kind;     /* "xrt" or "csim" */
    const char *image;    /* the .xclbin, or the library of the kernel for simulation */
    unsigned device;      /* number of the card */
    unsigned units;       /* compute units to simulate; a card has those of its image */
    unsigned batch;       /* events per run of the kernel */
    unsigned timeout_ms;  /* for one run */
    unsigned retries;     /* of a run that failed */
} calocc_options;

typedef struct {
    unsigned long long calls, events, runs, retries;
} calocc_statistics;

/* Options with which only kind and image are left to set. */
calocc_options calocc_defaults(void);

calocc_model *calocc_open(const calocc_options *options);
void calocc_close(calocc_model *model);

/* All events of all inputs, in order. Where it fails, all outputs are NaN. */
int calocc_predict(calocc_model *model, const double *const *inputs, double *const *outputs,
                   size_t events);

/* Inputs, then outputs: how many there are, their names, and the numbers of an event. */
size_t calocc_inputs(void);
size_t calocc_outputs(void);
const char *calocc_name(size_t port);
size_t calocc_size(size_t port);

calocc_statistics calocc_count(calocc_model *model);

/* The status and the text of the last failure in this thread. */
int calocc_last_status(void);
const char *calocc_error(void);

#ifdef __cplusplus
}
#endif
#endif
