// One file of kernels as a library of the host: LINF_FILE is the file, LINF_KERNELS names its kernels, K(name) each.
#include "shim.hpp"

#include LINF_FILE

// The bounds of all shared memory, from the linker.
extern char __start_shared_memory[] __attribute__((weak));
extern char __stop_shared_memory[] __attribute__((weak));

namespace shim {

thread_local Thread* current;
dim3 grid, block;
std::vector<uint64_t> said[2];

static std::mutex one_at_a_time;
static std::vector<Thread> threads;

static void run_block(const std::function<void()>& body, std::mt19937* order);

const char* launch(dim3 of_grid, dim3 of_block, unsigned seed, const std::function<void()>& body) {
    std::lock_guard<std::mutex> lock(one_at_a_time);
    static std::string fault;
    grid = of_grid;
    block = of_block;
    threads = std::vector<Thread>(block.x * block.y * block.z);
    if (threads.size() % LANES != 0) return "a block is no whole number of warps";
    for (auto& room : said) room.assign(threads.size(), 0);
    std::mt19937 random(seed);
    // Blocks may run in any order as well.
    std::vector<uint64_t> blocks(static_cast<uint64_t>(grid.x) * grid.y * grid.z);
    std::iota(blocks.begin(), blocks.end(), 0);
    if (seed != 0) std::shuffle(blocks.begin(), blocks.end(), random);
    try {
        for (uint64_t number : blocks) {
            std::memset(__start_shared_memory, 0xff, static_cast<size_t>(__stop_shared_memory - __start_shared_memory));
            dim3 place{static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
                       static_cast<unsigned>(number / grid.x / grid.y)};
            for (unsigned n = 0; n < threads.size(); n++) {
                threads[n] = Thread();
                threads[n].number = n;
                threads[n].of_block = place;
                threads[n].place = {n % block.x, n / block.x % block.y, n / block.x / block.y};
            }
            run_block(body, seed == 0 ? nullptr : &random);
        }
    } catch (const std::exception& error) {
        fault = error.what();
        return fault.c_str();
    }
    return nullptr;
}

#ifdef LINF_THREADS

std::unique_ptr<Barriers> barriers;

static void run_block(const std::function<void()>& body, std::mt19937*) {
    barriers = std::make_unique<Barriers>(static_cast<unsigned>(threads.size()));
    std::vector<std::thread> running;
    for (Thread& thread : threads) {
        running.emplace_back([&thread, &body] {
            current = &thread;
            body();
            barriers->warps[thread.number / LANES]->arrive_and_drop();
            barriers->block.arrive_and_drop();
        });
    }
    for (std::thread& thread : running) thread.join();
}

#else

#ifdef LINF_SLOW_SWITCH
static ucontext_t scheduler;
#else
static jmp_buf scheduler_here;
#endif
static const std::function<void()>* work;

void wait(Thread::Wait why) {
    Thread* me = current;
    me->wait = why;
#ifdef LINF_SLOW_SWITCH
    swapcontext(&me->first, &scheduler);
#else
    if (_setjmp(me->here) == 0) _longjmp(scheduler_here, 1);
#endif
}

static void entry() {
    (*work)();
    wait(Thread::Wait::Done);
}

// Never inlined: what the caller keeps in registers would be lost in the jumps.
__attribute__((noinline)) static void resume(Thread& thread) {
    current = &thread;
    thread.wait = Thread::Wait::Nothing;
#ifdef LINF_SLOW_SWITCH
    swapcontext(&scheduler, &thread.first);
#else
    // The first switch to a stack is by context; later ones are jumps, which ask nothing of the system.
    if (_setjmp(scheduler_here) != 0) return;
    if (thread.begun) _longjmp(thread.here, 1);
    thread.begun = true;
    setcontext(&thread.first);
#endif
}

// Never inlined, for the same reason: the system's call is one that may return twice.
__attribute__((noinline)) static void prepare(Thread& thread, char* stack, size_t size) {
    getcontext(&thread.first);
    thread.first.uc_stack.ss_sp = stack;
    thread.first.uc_stack.ss_size = size;
    thread.first.uc_link = nullptr;
    makecontext(&thread.first, entry, 0);
}

// Shared memory as all lanes of a block of one warp see it.
static std::vector<char> seen;

static void show_own(const Thread& lane) {
    for (auto [at, byte] : lane.unseen) __start_shared_memory[at] = byte;
}

// What a lane has written becomes visible to all where it has come to a barrier, and else is put aside.
static void hide_own(Thread& lane) {
    if (std::memcmp(seen.data(), __start_shared_memory, seen.size()) == 0) {
        lane.unseen.clear();
    } else if (lane.wait == Thread::Wait::Lanes) {
        lane.unseen.clear();
        for (uint32_t at = 0; at < seen.size(); at++) {
            if (seen[at] != __start_shared_memory[at]) lane.unseen.emplace_back(at, __start_shared_memory[at]);
        }
        std::memcpy(__start_shared_memory, seen.data(), seen.size());
    } else {
        lane.unseen.clear();
        std::memcpy(seen.data(), __start_shared_memory, seen.size());
    }
}

static long waiting(unsigned first, unsigned end, Thread::Wait why) {
    return std::count_if(threads.begin() + first, threads.begin() + end,
                         [why](const Thread& thread) { return thread.wait == why; });
}

// Runs a warp until none of its lanes can go on without the rest of the block.
static void run_warp(unsigned first, bool alone, std::mt19937* shuffled) {
    using Wait = Thread::Wait;
    std::vector<unsigned> lanes(LANES);
    std::iota(lanes.begin(), lanes.end(), first);
    for (;;) {
        if (shuffled) std::shuffle(lanes.begin(), lanes.end(), *shuffled);
        for (unsigned n : lanes) {
            if (threads[n].wait != Wait::Nothing) continue;
            if (alone) show_own(threads[n]);
            resume(threads[n]);
            if (alone) hide_own(threads[n]);
        }
        const Wait why = threads[first].wait;
        if ((why != Wait::Warp && why != Wait::Lanes) || waiting(first, first + LANES, why) != LANES) return;
        for (unsigned n = first; n < first + LANES; n++) threads[n].wait = Wait::Nothing;
    }
}

static void run_block(const std::function<void()>& body, std::mt19937* shuffled) {
    using Wait = Thread::Wait;
    constexpr size_t STACK = 128 << 10;
    static std::vector<char> stacks;
    stacks.resize(std::max(stacks.size(), threads.size() * STACK));
    work = &body;
    const unsigned all = static_cast<unsigned>(threads.size());
    const bool alone = all == LANES;
    if (alone) seen.assign(__start_shared_memory, __stop_shared_memory);
    std::vector<unsigned> warps(all / LANES);
    for (unsigned n = 0; n < warps.size(); n++) warps[n] = n * LANES;
    for (Thread& thread : threads) prepare(thread, stacks.data() + thread.number * STACK, STACK);
    for (;;) {
        if (shuffled) std::shuffle(warps.begin(), warps.end(), *shuffled);
        for (unsigned first : warps) run_warp(first, alone, shuffled);
        const auto done = waiting(0, all, Wait::Done), here = waiting(0, all, Wait::Block);
        if (done == all) return;
        if (here != all) {
            throw std::runtime_error("a barrier is reached by " + std::to_string(here) + " of " + std::to_string(all) +
                                     " threads, " + std::to_string(done) + " have ended");
        }
        for (Thread& thread : threads) thread.wait = Wait::Nothing;
    }
}

#endif

}  // namespace shim

#define K(name)                                                                                                     \
    extern "C" const char* run_##name(const unsigned* grid, unsigned threads, unsigned seed, void** arguments) {    \
        return shim::run(name, grid, threads, seed, arguments);                                                     \
    }
LINF_KERNELS
