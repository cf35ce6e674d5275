// Starts Swagger UI on the page that resources/docs.py makes. The standalone layout would add a bar whose logo has an
// inline style, which the page's policy forbids, and a field to load other descriptions.

// The token is kept while the tab lives, so that a reload does not ask for it again. Swagger UI's own
// `persistAuthorization` would leave it in localStorage, for every tab and the next user of the browser.
const KEY = "docs-token";
const SCHEME = "bearer";

const stored = {
  get() {
    try {
      return sessionStorage.getItem(KEY);
    } catch {
      return null; // the browser keeps nothing: the token lasts as long as the page
    }
  },
  set(token) {
    try {
      if (token) sessionStorage.setItem(KEY, token);
      else sessionStorage.removeItem(KEY);
    } catch {}
  },
};

const keepToken = () => ({
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (original) => (schemes) => {
          if (schemes[SCHEME]) stored.set(schemes[SCHEME].value);
          return original(schemes);
        },
        logout: (original) => (names) => {
          if (names.includes(SCHEME)) stored.set(null);
          return original(names);
        },
      },
    },
  },
});

// Fields that nobody can use here: the only server is this one, and the signature of a payment provider is made of the
// body and a secret, not typed.
const withoutUselessFields = () => ({
  wrapComponents: {
    ServersContainer: () => () => null,
    Servers: () => () => null,
  },
  statePlugins: {
    spec: {
      wrapSelectors: {
        securityDefinitions: (original) => (state, ...rest) => {
          const schemes = original(state, ...rest);
          return schemes && schemes.filter((_, name) => name === SCHEME);
        },
      },
    },
  },
});

window.ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "/openapi.json",
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1, // the models stand in the operations already
  plugins: [keepToken, withoutUselessFields],
  validatorUrl: null, // else it sends the description's address to a service of others
  oauth2RedirectUrl: "/docs/oauth2-redirect.html",
  onComplete: () => {
    const token = stored.get();
    if (token) window.ui.preauthorizeApiKey(SCHEME, token);
  },
});
