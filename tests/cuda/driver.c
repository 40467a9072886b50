// A CUDA driver with one device and nothing behind it, for tests of what is said when it fails. STUB_DRIVER=cuInit:100
// has cuInit return error 100; version:12080 makes it a driver for CUDA 12.8, and capability:70 its device one of 7.0.
// Compiled with OLD it lacks what drivers before R470 lack.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int result_of(const char* name) {
    const char* wanted = getenv("STUB_DRIVER");
    size_t length = strlen(name);
    return wanted && !strncmp(wanted, name, length) && wanted[length] == ':' ? atoi(wanted + length + 1) : 0;
}

#define FAILS(name)                      \
    do {                                 \
        int result = result_of(name);    \
        if (result) return result;       \
    } while (0)

int cuInit(unsigned flags) {
    (void)flags;
    return result_of("cuInit");
}

int cuDeviceGetCount(int* count) {
    FAILS("cuDeviceGetCount");
    *count = 1;
    return 0;
}

int cuDeviceGet(int* device, int index) {
    *device = index;
    return 0;
}

int cuDriverGetVersion(int* version) {
    int wanted = result_of("version");
    *version = wanted ? wanted : 13000;
    return 0;
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
    (void)device;
    int wanted = result_of("capability"), capability = wanted ? wanted : 90;
    *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : 4;
    return 0;
}

#ifndef OLD
int cuDeviceGetUuid_v2(char* uuid, int device) {
    for (int n = 0; n < 16; n++) uuid[n] = (char)(16 * device + n);
    return 0;
}
#endif

int cuDeviceGetName(char* name, int length, int device) {
    (void)device;
    snprintf(name, (size_t)length, "a device of paper");
    return 0;
}

int cuDevicePrimaryCtxRetain(void** context, int device) {
    (void)device;
    FAILS("cuDevicePrimaryCtxRetain");
    *context = &result_of;
    return 0;
}

int cuCtxSetCurrent(void* context) {
    (void)context;
    return 0;
}

int cuMemAlloc_v2(unsigned long long* address, size_t bytes) {
    FAILS("cuMemAlloc_v2");
    *address = (unsigned long long)calloc(1, bytes);
    return 0;
}

int cuMemFree_v2(unsigned long long address) {
    free((void*)address);
    return 0;
}

int cuMemsetD8Async(unsigned long long address, unsigned char value, size_t bytes, void* stream) {
    (void)stream;
    memset((void*)address, value, bytes);
    return 0;
}

int cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
    *free_bytes = 1500000000;
    *total = 80000000000;
    return 0;
}

int cuMemcpyHtoD_v2(unsigned long long to, const void* from, size_t bytes) {
    FAILS("cuMemcpyHtoD_v2");
    memcpy((void*)to, from, bytes);
    return 0;
}

int cuMemcpyDtoH_v2(void* to, unsigned long long from, size_t bytes) {
    FAILS("cuMemcpyDtoH_v2");
    memcpy(to, (void*)from, bytes);
    return 0;
}

int cuModuleLoadData(void** module, const void* image) {
    (void)image;
    FAILS("cuModuleLoadData");
    *module = &result_of;
    return 0;
}

int cuModuleGetFunction(void** function, void* module, const char* name) {
    (void)module;
    (void)name;
    *function = &result_of;
    return 0;
}

int cuLaunchKernel(void) { return result_of("cuLaunchKernel"); }

int cuCtxSynchronize(void) { return result_of("cuCtxSynchronize"); }

int cuGetErrorName(int error, const char** name) {
    static char text[40];
    snprintf(text, sizeof text, "CUDA_ERROR_NUMBER_%d", error);
    *name = text;
    return 0;
}

int cuGetErrorString(int error, const char** words) {
    static char text[40];
    snprintf(text, sizeof text, "error number %d", error);
    *words = text;
    return 0;
}
