// The API as the one who signed in to this tab, and who is notified when that ends.
import { createApi } from "./api.js";
import { language } from "./i18n.js";
import { session } from "./session.js";

let signedOut = () => {};

export const api = createApi({
  getToken: () => session.token,
  getLanguage: language,
  onSignedOut: (error) => signedOut(error),
});

/** Call `listener(error)` when the service no longer takes the token. */
export const onSignedOut = (listener) => {
  signedOut = listener;
};
