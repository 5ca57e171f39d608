#pragma once

#include <napi.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "hnsw.h"

/**
 * A graph for JavaScript. All calls come from one thread; adding and searching may share their work among native ones.
 * While a save is under way it can be searched and not be changed.
 */
class Graph : public Napi::ObjectWrap<Graph> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit Graph(const Napi::CallbackInfo &info);
  ~Graph() override;

 private:
  Napi::Value size(const Napi::CallbackInfo &info);
  Napi::Value deleted(const Napi::CallbackInfo &info);
  Napi::Value bytes(const Napi::CallbackInfo &info);
  Napi::Value labels(const Napi::CallbackInfo &info);
  void add(const Napi::CallbackInfo &info);
  Napi::Value markDeleted(const Napi::CallbackInfo &info);
  Napi::Value search(const Napi::CallbackInfo &info);
  void startSave(const Napi::CallbackInfo &info);
  Napi::Value finishSave(const Napi::CallbackInfo &info);
  void refuseWhileSaving(const Napi::Env &env) const;

  std::unique_ptr<HnswIndex> index_;
  std::thread writer_;
  std::mutex lock_;
  std::condition_variable written_;
  bool writing_ = false;
  std::string failure_;
};
