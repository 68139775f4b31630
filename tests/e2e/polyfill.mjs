// What some of the pinned packages want and older Nodes lack: Promise.withResolvers (before 22), CustomEvent and the
// global crypto (before 19, so Debian 12's own).
import {webcrypto} from "node:crypto";

globalThis.crypto ??= webcrypto;
globalThis.CustomEvent ??= class CustomEvent extends Event {
  constructor(type, options) {
    super(type, options);
    this.detail = options?.detail ?? null;
  }
};

Promise.withResolvers ??= function withResolvers() {
  let resolve, reject;
  const promise = new this((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return {promise, resolve, reject};
};
