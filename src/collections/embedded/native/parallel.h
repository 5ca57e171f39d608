#pragma once

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

/**
 * Calls `work(i)` for every i in 0..count-1 from as many threads, the calling one included. The first exception of any
 * of them is thrown again here once all have ended; what had not begun by then is left out.
 */
template <typename Work>
void parallelFor(std::size_t count, std::size_t threads, Work work) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex failureLock;
  const auto run = [&]() {
    try {
      for (std::size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      next = count;
      const std::lock_guard<std::mutex> lock(failureLock);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  try {
    for (std::size_t t = 1; t < threads && t < count; t++) others.emplace_back(run);
  } catch (const std::system_error &) {
    // No more threads to be had: those there are do it.
  }
  run();
  for (std::thread &other : others) other.join();
  if (failure) std::rethrow_exception(failure);
}
