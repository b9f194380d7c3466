// SPDX-License-Identifier: BSD-3-Clause
// Tasks shared out over threads that live as long as the call. Private to the kernel.
#ifndef ENTSYM_PARALLEL_HPP
#define ENTSYM_PARALLEL_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace entsym {

/// Number of threads that n_tasks can use.
inline int crew_size(std::size_t n_tasks, int threads)
{
  return static_cast<int>(
      std::min<std::size_t>(std::max(threads, 1), std::max<std::size_t>(n_tasks, 1)));
}

/// Run body(task, thread) for every task, with thread from 0 to crew_size - 1. An exception of any thread
/// is thrown again here after all threads have ended.
template <class Body>
void parallel(std::size_t n_tasks, int threads, const Body &body)
{
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex guard;
  auto work = [&](int thread) {
    try {
      for (std::size_t task; (task = next++) < n_tasks;) body(task, thread);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(guard);
      failure = std::current_exception();
    }
  };
  std::vector<std::thread> crew;
  crew.reserve(crew_size(n_tasks, threads));
  try {
    for (int t = 1; t < crew_size(n_tasks, threads); t++) crew.emplace_back(work, t);
  } catch (const std::system_error &) {    // no more threads available: the others do all tasks
  }
  work(0);
  for (std::thread &member : crew) member.join();
  if (failure) std::rethrow_exception(failure);
}

}    // namespace entsym
#endif
