/** Stands in for a dependency of the transports that would fetch a script from elsewhere. Nothing may ever call it. */
export default {
  createCallObject(): never {
    throw new Error("this page never uses the vendor's media manager");
  },
};
