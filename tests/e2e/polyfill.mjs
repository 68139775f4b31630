// Promise.withResolvers, which some of the pinned packages want and Node before 22 lacks.
Promise.withResolvers ??= function withResolvers() {
  let resolve, reject;
  const promise = new this((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return {promise, resolve, reject};
};
