/* SPDX-License-Identifier: MIT */
/*
 * streams.cc - streams, events and graphs of the fake CUDA device. Queued work runs
 * only when something waits for it: code that reads a result too early gets old bytes.
 */
#include "device.h"

#include <chrono>
#include <deque>
#include <memory>
#include <set>
#include <thread>
#include <vector>

using fake::call, fake::device, fake::find, fake::capture_forbids, fake::push,
    fake::Work;

/* A capture: the recorded work, and the streams that joined it. */
struct fake::Capture {
    cudaStream_t origin;
    enum cudaStreamCaptureMode mode;
    std::thread::id thread;
    std::set<cudaStream_t> streams;
    std::vector<Work> work;
    bool invalid, ended;
};

typedef std::shared_ptr<fake::Capture> CapturePtr;

namespace
{
struct Queued {
    Work work;
    long number; /* counts over all streams */
};

/* State of a stream when an event was recorded. */
struct EventState {
    cudaStream_t stream;
    CapturePtr capture; /* or NULL */
    long captured;
    bool done;
    std::chrono::steady_clock::time_point time;
};
} // namespace

struct CUstream_st {
    int device;
    bool blocking; /* synchronises with the default stream */
    std::deque<Queued> queue;
    CapturePtr capture;
    long captured; /* work items of this capture */
    bool unjoined; /* no other stream waits for the last of them yet */
};

struct CUevent_st {
    bool timed;
    std::shared_ptr<EventState> state; /* or NULL: not recorded yet */
};

struct CUgraph_st {
    std::vector<Work> work;
};

struct CUgraphExec_st {
    std::vector<Work> work;
};

static std::set<cudaStream_t> streams; /* except the default ones */
static long queued;

static CUstream_st *default_stream()
{
    static CUstream_st each[fake::max_devices];

    each[device].device = device;
    return &each[device];
}

CUstream_st *fake::find(cudaStream_t stream)
{
    if (!stream)
        return default_stream();
    return streams.count(stream) ? stream : NULL;
}

static void drain_until(CUstream_st *s, long before);

/* The default stream and the blocking ones wait for each other's earlier work. */
static void sync_default_stream(const CUstream_st *s, long before)
{
    if (s != default_stream()) {
        if (s->blocking)
            drain_until(default_stream(), before);
        return;
    }
    for (cudaStream_t other : streams)
        if (other->blocking && other->device == s->device)
            drain_until(other, before);
}

static void run_next(CUstream_st *s)
{
    Queued next = std::move(s->queue.front());

    s->queue.pop_front();
    sync_default_stream(s, next.number);
    next.work();
}

static void drain_until(CUstream_st *s, long before)
{
    while (!s->queue.empty() && s->queue.front().number < before)
        run_next(s);
}

void fake::drain(CUstream_st *s)
{
    drain_until(s, queued);
}

void fake::drain_device()
{
    drain(default_stream());
    for (cudaStream_t s : streams)
        if (s->device == device)
            drain(s);
}

static void wait_for_event(const EventState &state)
{
    while (!state.done)
        run_next(state.stream);
}

cudaError_t fake::invalidate_capture(const CUstream_st *s, cudaError_t error)
{
    if (s->capture)
        s->capture->invalid = true;
    return s->capture ? error : cudaSuccess;
}

/* A capture restricts all threads, its own or none, depending on its mode. */
cudaError_t fake::capture_forbids(bool all)
{
    for (cudaStream_t s : streams)
        if (s->capture && (all || s->capture->mode == cudaStreamCaptureModeGlobal ||
                           (s->capture->mode == cudaStreamCaptureModeThreadLocal &&
                            s->capture->thread == std::this_thread::get_id())))
            return invalidate_capture(s, cudaErrorStreamCaptureUnsupported);
    return cudaSuccess;
}

cudaError_t fake::push(cudaStream_t stream, Work work)
{
    CUstream_st *s = find(stream);

    if (!s || s->device != device)
        return cudaErrorInvalidResourceHandle;
    if (!s->capture) {
        for (cudaStream_t other : streams)
            if (s == default_stream() && other->blocking && other->capture)
                return invalidate_capture(other, cudaErrorStreamCaptureImplicit);
        s->queue.push_back({std::move(work), queued++});
        return cudaSuccess;
    }
    if (s->capture->invalid)
        return cudaErrorStreamCaptureInvalidated;
    s->capture->work.push_back(std::move(work));
    s->captured++;
    s->unjoined = true;
    return cudaSuccess;
}

cudaError_t fake::enqueue(cudaStream_t stream, Work work)
{
    return call([&] { return push(stream, std::move(work)); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    return call([&] {
        *stream = new CUstream_st{};
        (*stream)->device = device;
        (*stream)->blocking = !(flags & cudaStreamNonBlocking);
        streams.insert(*stream);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    return call([&] {
        if (!streams.count(stream))
            return cudaErrorInvalidResourceHandle;
        if (stream->capture)
            return fake::invalidate_capture(stream, cudaErrorStreamCaptureUnsupported);
        fake::drain(stream);
        streams.erase(stream);
        delete stream;
        return cudaSuccess;
    });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    return call([&] {
        CUstream_st *s = find(stream);
        if (!s)
            return cudaErrorInvalidResourceHandle;
        if (s->capture)
            return fake::invalidate_capture(s, cudaErrorStreamCaptureUnsupported);
        if (cudaError_t error = capture_forbids())
            return error;
        fake::drain(s);
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceSynchronize(void)
{
    return call([] {
        if (cudaError_t error = capture_forbids(true))
            return error;
        fake::drain_device();
        return cudaSuccess;
    });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    return call([&] {
        *event = new CUevent_st{};
        (*event)->timed = !(flags & cudaEventDisableTiming);
        return cudaSuccess;
    });
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    return call([&] {
        delete event;
        return cudaSuccess;
    });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    return call([&] {
        CUstream_st *s = find(stream);
        if (!s || s->device != device)
            return cudaErrorInvalidResourceHandle;
        auto state = std::make_shared<EventState>();
        state->stream = s;
        state->capture = s->capture;
        state->captured = s->captured;
        event->state = state;
        if (s->capture)
            return cudaSuccess;
        return push(stream, [state] {
            state->done = true;
            state->time = std::chrono::steady_clock::now();
        });
    });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    return call([&] {
        if (event->state && event->state->capture)
            return cudaErrorCapturedEvent;
        if (cudaError_t error = capture_forbids())
            return error;
        if (event->state)
            wait_for_event(*event->state);
        return cudaSuccess;
    });
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    return call([&] {
        if (!start->timed || !end->timed || !start->state || !end->state)
            return cudaErrorInvalidResourceHandle;
        if (start->state->capture || end->state->capture)
            return cudaErrorCapturedEvent;
        if (!start->state->done || !end->state->done)
            return cudaErrorNotReady;
        *ms = std::chrono::duration<float, std::milli>(end->state->time -
                                                       start->state->time)
                  .count();
        return cudaSuccess;
    });
}

/* A stream that waits for an event of a capture joins the capture. */
static cudaError_t wait_captured(CUstream_st *s, const EventState &state)
{
    if (state.capture->ended)
        return cudaErrorCapturedEvent;
    if (s->capture && s->capture != state.capture)
        return fake::invalidate_capture(s, cudaErrorStreamCaptureMerge);
    if (!s->capture) {
        s->capture = state.capture;
        s->captured = 0;
        s->capture->streams.insert(s);
    }
    if (s != state.stream) {
        s->unjoined = true;
        s->captured++;
        if (state.captured == state.stream->captured)
            state.stream->unjoined = false;
    }
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    return call([&] {
        CUstream_st *s = find(stream);
        std::shared_ptr<EventState> state = event->state;
        if (!s)
            return cudaErrorInvalidResourceHandle;
        if (!state)
            return cudaSuccess;
        if (state->capture)
            return wait_captured(s, *state);
        if (s->capture)
            return fake::invalidate_capture(s, cudaErrorStreamCaptureIsolation);
        return push(stream, [state] { wait_for_event(*state); });
    });
}

/* ---- graphs: the captured work, in the order of its capture ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    return call([&] {
        if (!streams.count(stream)) /* the default stream cannot be captured */
            return stream ? cudaErrorInvalidResourceHandle
                          : cudaErrorStreamCaptureUnsupported;
        if (stream->capture)
            return cudaErrorIllegalState;
        stream->capture = std::make_shared<fake::Capture>();
        stream->captured = 0;
        stream->capture->origin = stream;
        stream->capture->mode = mode;
        stream->capture->thread = std::this_thread::get_id();
        stream->capture->streams.insert(stream);
        return cudaSuccess;
    });
}

/* The error of a capture that ends in this stream; cudaSuccess if it is valid. */
static cudaError_t capture_error(const CUstream_st *s)
{
    const fake::Capture &c = *s->capture;

    if (c.mode != cudaStreamCaptureModeRelaxed &&
        c.thread != std::this_thread::get_id())
        return cudaErrorStreamCaptureWrongThread;
    if (c.origin != s)
        return cudaErrorStreamCaptureUnmatched;
    if (c.invalid)
        return cudaErrorStreamCaptureInvalidated;
    for (cudaStream_t other : c.streams)
        if (other != s && other->unjoined)
            return cudaErrorStreamCaptureUnjoined;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    return call([&] {
        *graph = NULL;
        if (!streams.count(stream) || !stream->capture)
            return cudaErrorIllegalState;
        cudaError_t error = capture_error(stream);
        if (error == cudaErrorStreamCaptureWrongThread ||
            error == cudaErrorStreamCaptureUnmatched)
            return fake::invalidate_capture(stream, error);
        CapturePtr capture = stream->capture;
        capture->ended = true;
        for (cudaStream_t s : capture->streams)
            s->capture = NULL;
        if (!error)
            *graph = new CUgraph_st{std::move(capture->work)};
        return error;
    });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream,
                                  enum cudaStreamCaptureStatus *status)
{
    return call([&] {
        CUstream_st *s = find(stream);
        if (!s)
            return cudaErrorInvalidResourceHandle;
        *status = !s->capture           ? cudaStreamCaptureStatusNone
                  : s->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                        : cudaStreamCaptureStatusActive;
        return cudaSuccess;
    });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                 unsigned long long)
{
    return call([&] {
        if (!graph)
            return cudaErrorInvalidValue;
        *exec = new CUgraphExec_st{graph->work};
        return cudaSuccess;
    });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    return call([&] {
        auto work = exec->work; /* exec may be destroyed before the work is done */
        return push(stream, [work] {
            for (const Work &each : work)
                each();
        });
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    return call([&] {
        delete graph;
        return cudaSuccess;
    });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    return call([&] {
        delete exec;
        return cudaSuccess;
    });
}
