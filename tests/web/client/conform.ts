// What the module does is what its types say: its own types are those that the compiler finds in the JavaScript.
import type * as types from "oncegate";
import * as module from "./module/oncegate.js";
import { type Same, check } from "./same";

// The functions and classes of the module, as the types have them.
export const createOncegate: typeof types.createOncegate = module.createOncegate;
export const passkey: typeof types.passkey = module.passkey;
export const signIn: types.SignIn = new module.SignIn("/auth", {} as types.ClientOptions);
export const account: types.Account = new module.Account("/auth", {} as types.ClientOptions);
export const problem: types.Problem = new module.Problem(0);

// Nothing else.
check<Same<keyof typeof module, keyof typeof types>>();
check<Same<keyof module.SignIn, keyof types.SignIn>>();
check<Same<keyof module.Account, keyof types.Account>>();
check<Same<keyof module.Problem, keyof types.Problem>>();
