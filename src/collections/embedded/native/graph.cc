#include "graph.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <unordered_set>

#include "arguments.h"
#include "parallel.h"
#include "vector-store.h"

namespace {

constexpr double MAX_LABEL = 4294967295.0;
constexpr std::size_t MIN_CAPACITY = 1024;
constexpr double GROWTH = 1.5;

/** Most candidates of a search. */
constexpr double MAX_EF = 1 << 24;

/** Labels that a search may return, as a bitmap in pages, so that memory follows the pages in use. */
class LabelFilter : public hnswlib::BaseFilterFunctor {
 public:
  LabelFilter(const std::uint32_t *labels, std::size_t count) {
    for (std::size_t i = 0; i < count; i++) {
      const std::uint32_t label = labels[i];
      if ((label >> 16) >= pages_.size()) pages_.resize((label >> 16) + 1);
      auto &page = pages_[label >> 16];
      if (!page) page = std::make_unique<Page>(Page{});
      (*page)[(label >> 6) & 1023] |= std::uint64_t{1} << (label & 63);
    }
  }
  bool operator()(hnswlib::labeltype label) override {
    const std::size_t page = label >> 16;
    return page < pages_.size() && pages_[page] && ((*pages_[page])[(label >> 6) & 1023] >> (label & 63) & 1) != 0;
  }

 private:
  using Page = std::array<std::uint64_t, 1024>;
  std::vector<std::unique_ptr<Page>> pages_;
};

/** Runs what may throw a C++ exception of the library, and throws it on as JavaScript's. */
template <typename Work>
auto guarded(const Napi::Env &env, Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const Napi::Error &) {
    throw;
  } catch (const std::exception &error) {
    throw Napi::Error::New(env, std::string("The graph: ") + error.what());
  }
}

}  // namespace

Napi::Function Graph::define(Napi::Env env) {
  return DefineClass(env, "Graph",
                     {
                         InstanceAccessor<&Graph::size>("size"),
                         InstanceAccessor<&Graph::deleted>("deleted"),
                         InstanceAccessor<&Graph::bytes>("bytes"),
                         InstanceMethod<&Graph::labels>("labels"),
                         InstanceMethod<&Graph::add>("add"),
                         InstanceMethod<&Graph::markDeleted>("markDeleted"),
                         InstanceMethod<&Graph::search>("search"),
                         InstanceMethod<&Graph::startSave>("startSave"),
                         InstanceMethod<&Graph::finishSave>("finishSave"),
                     });
}

/** new Graph(dimension, m, efConstruction, instructions, path?): an empty graph, or the one in a file. */
Graph::Graph(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Graph>(info) {
  const std::size_t dimension = arguments::integer(info[0], "dimension", 1, arguments::MAX_DIMENSION);
  const std::size_t m = arguments::integer(info[1], "m", 2, 1024);
  const std::size_t efConstruction = arguments::integer(info[2], "efConstruction", 1, MAX_EF);
  const Dot dot = arguments::dot(info[3]);
  index_ = guarded(info.Env(), [&]() {
    if (info[4].IsUndefined()) return std::make_unique<HnswIndex>(dimension, m, efConstruction, dot, MIN_CAPACITY);
    return readGraphFile(arguments::text(info[4], "path"), dimension, m, efConstruction, dot, MIN_CAPACITY);
  });
}

Graph::~Graph() {
  if (writer_.joinable()) writer_.join();
}

Napi::Value Graph::size(const Napi::CallbackInfo &info) {
  return Napi::Number::New(info.Env(), static_cast<double>(index_->hnsw.cur_element_count));
}

Napi::Value Graph::deleted(const Napi::CallbackInfo &info) {
  return Napi::Number::New(info.Env(), static_cast<double>(index_->hnsw.num_deleted_));
}

/** What its elements take; room for more is not counted, because the system gives it when it is used. */
Napi::Value Graph::bytes(const Napi::CallbackInfo &info) {
  const Hnsw &h = index_->hnsw;
  // An entry of the map from labels: a node of three words and its share of the buckets.
  constexpr std::size_t PER_ELEMENT = 4 * sizeof(void *) + sizeof(std::mutex) + sizeof(int) + sizeof(char *);
  std::size_t bytes = h.cur_element_count * (h.size_data_per_element_ + PER_ELEMENT);
  for (std::size_t i = 0; i < h.cur_element_count; i++) bytes += h.element_levels_[i] * h.size_links_per_element_;
  return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}

Napi::Value Graph::labels(const Napi::CallbackInfo &info) {
  const Hnsw &h = index_->hnsw;
  Napi::Uint32Array labels = Napi::Uint32Array::New(info.Env(), h.cur_element_count);
  for (hnswlib::tableint i = 0; i < h.cur_element_count; i++) {
    labels[i] = static_cast<std::uint32_t>(h.getExternalLabel(i));
  }
  return labels;
}

/** add(store, slots, labels, threads): the vectors in these slots under these labels, none of them known. */
void Graph::add(const Napi::CallbackInfo &info) {
  const Napi::Env env = info.Env();
  refuseWhileSaving(env);
  if (!info[0].IsObject() || !info[0].As<Napi::Object>().InstanceOf(
                                 info[0].Env().GetInstanceData<Napi::FunctionReference>()->Value())) {
    throw Napi::TypeError::New(env, "store must be a VectorStore");
  }
  const VectorStore &store = *VectorStore::Unwrap(info[0].As<Napi::Object>());
  const Napi::Uint32Array slots = arguments::uint32s(info[1], "slots");
  const Napi::Uint32Array labels = arguments::uint32s(info[2], "labels");
  const std::size_t threads = arguments::threads(info[3]);
  const std::size_t count = labels.ElementLength();
  if (store.dimension() != index_->dimension) throw Napi::RangeError::New(env, "store has vectors of another dimension");
  if (slots.ElementLength() != count) throw Napi::RangeError::New(env, "there must be as many slots as labels");
  const std::uint32_t *slot = slots.Data();
  const std::uint32_t *label = labels.Data();
  Hnsw &h = index_->hnsw;
  std::unordered_set<std::uint32_t> seen;
  for (std::size_t i = 0; i < count; i++) {
    if (slot[i] >= store.slots()) throw Napi::RangeError::New(env, "there is no slot " + std::to_string(slot[i]));
    if (h.label_lookup_.count(label[i]) > 0 || !seen.insert(label[i]).second) {
      throw Napi::RangeError::New(env, "label " + std::to_string(label[i]) + " is in the graph already");
    }
  }
  guarded(env, [&]() {
    const std::size_t wanted = h.cur_element_count + count;
    if (wanted > h.max_elements_) {
      index_->resize(std::max(wanted, static_cast<std::size_t>(static_cast<double>(h.max_elements_) * GROWTH)));
    }
    // The first of all elements is where the others begin.
    const std::size_t alone = h.cur_element_count == 0 && count > 0 ? 1 : 0;
    if (alone > 0) h.addPoint(store.row(slot[0]), label[0]);
    parallelFor(count - alone, threads,
                [&](std::size_t i) { h.addPoint(store.row(slot[i + alone]), label[i + alone]); });
  });
}

/** markDeleted(label): whether it was not deleted before. */
Napi::Value Graph::markDeleted(const Napi::CallbackInfo &info) {
  refuseWhileSaving(info.Env());
  const std::uint64_t label = arguments::integer(info[0], "label", 0, MAX_LABEL);
  Hnsw &h = index_->hnsw;
  const auto found = h.label_lookup_.find(label);
  if (found == h.label_lookup_.end()) {
    throw Napi::RangeError::New(info.Env(), "label " + std::to_string(label) + " is not in the graph");
  }
  const bool isNew = !h.isMarkedDeleted(found->second);
  if (isNew) h.markDeletedInternal(found->second);
  return Napi::Boolean::New(info.Env(), isNew);
}

/**
 * search(queries, k, ef, allowed, threads): the labels of about the nearest k of each query and of what is as near as the
 * last of them, nearest first, in rows of as many places each, of which `counts` says how many are taken.
 */
Napi::Value Graph::search(const Napi::CallbackInfo &info) {
  const Napi::Env env = info.Env();
  const Napi::Float32Array queries = arguments::floats(info[0], "queries");
  const std::size_t rows = arguments::vectors(queries, "queries", index_->dimension);
  const std::size_t k = arguments::integer(info[1], "k", 1, MAX_EF);
  const std::size_t ef = arguments::integer(info[2], "ef", 1, MAX_EF);
  const std::size_t threads = arguments::threads(info[4]);
  std::unique_ptr<LabelFilter> filter;
  if (!info[3].IsUndefined()) {
    const Napi::Uint32Array allowed = arguments::uint32s(info[3], "allowed");
    filter = guarded(
        env, [&]() { return std::make_unique<LabelFilter>(allowed.Data(), allowed.ElementLength()); });
  }
  Hnsw &h = index_->hnsw;
  const std::size_t width = std::min<std::size_t>(std::max(k, ef), h.cur_element_count);
  Napi::Uint32Array labels = Napi::Uint32Array::New(env, rows * width);
  Napi::Uint32Array counts = Napi::Uint32Array::New(env, rows);
  std::uint32_t *labelOut = labels.Data();
  std::uint32_t *countOut = counts.Data();
  const float *query = queries.Data();
  if (width > 0) {
    guarded(env, [&]() {
      parallelFor(rows, threads, [&](std::size_t i) {
        auto found = h.searchKnn(query + i * index_->dimension, width, filter.get());
        // From the farthest on: down to the k-th, what is farther than the next is left out.
        std::size_t kept = found.size();
        for (float farther = 0; !found.empty(); found.pop()) {
          const auto &[distance, label] = found.top();
          labelOut[i * width + found.size() - 1] = static_cast<std::uint32_t>(label);
          if (found.size() >= k && distance < farther) kept = found.size();
          farther = distance;
        }
        countOut[i] = static_cast<std::uint32_t>(kept);
      });
    });
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("labels", labels);
  result.Set("counts", counts);
  return result;
}

/** startSave(path): writes the file in a thread of its own; `finishSave` says when it is on disk. */
void Graph::startSave(const Napi::CallbackInfo &info) {
  refuseWhileSaving(info.Env());
  const std::string path = arguments::text(info[0], "path");
  writing_ = true;
  failure_.clear();
  try {
    writer_ = std::thread([this, path]() {
      std::string failure;
      try {
        writeGraphFile(*index_, path);
      } catch (const std::exception &error) {
        failure = error.what();
      }
      const std::lock_guard<std::mutex> guard(lock_);
      failure_ = failure;
      writing_ = false;
      written_.notify_all();
    });
  } catch (const std::exception &error) {
    writing_ = false;
    throw Napi::Error::New(info.Env(), std::string("The graph cannot be saved: ") + error.what());
  }
}

/** finishSave(milliseconds): waits so long at most. @returns whether the save has ended; throws what went wrong */
Napi::Value Graph::finishSave(const Napi::CallbackInfo &info) {
  const std::uint64_t milliseconds = arguments::integer(info[0], "milliseconds", 0, 2147483647);
  if (!writer_.joinable()) throw Napi::Error::New(info.Env(), "No save is under way");
  {
    std::unique_lock<std::mutex> guard(lock_);
    if (!written_.wait_for(guard, std::chrono::milliseconds(milliseconds), [&]() { return !writing_; })) {
      return Napi::Boolean::New(info.Env(), false);
    }
  }
  writer_.join();
  if (!failure_.empty()) throw Napi::Error::New(info.Env(), "The graph cannot be saved: " + failure_);
  return Napi::Boolean::New(info.Env(), true);
}

void Graph::refuseWhileSaving(const Napi::Env &env) const {
  if (writer_.joinable()) throw Napi::Error::New(env, "The graph is being saved and cannot be changed");
}
