#include <napi.h>

#include "dot.h"
#include "graph.h"
#include "vector-store.h"

namespace {

Napi::Value instructions(const Napi::CallbackInfo &info) {
  Napi::Array names = Napi::Array::New(info.Env());
  for (const std::string &name : supportedInstructions()) names.Set(names.Length(), name);
  return names;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  const Napi::Function store = VectorStore::define(env);
  // Each thread that loads the addon has classes of its own.
  env.SetInstanceData(new Napi::FunctionReference(Napi::Persistent(store)));
  exports.Set("VectorStore", store);
  exports.Set("Graph", Graph::define(env));
  exports.Set("supportedInstructions", Napi::Function::New(env, instructions));
  return exports;
}

}  // namespace

NODE_API_MODULE(vector_index, init)
