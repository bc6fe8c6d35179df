// Loads style sheets together with the modules that need them.

const loading = new Map();

/** Wraps a module's loader so that its style sheets are loaded before the module is used. */
export const withStylesheets = (names, load) => async () => {
  const [module] = await Promise.all([load(), ...names.map(sheet)]);
  return module;
};

function sheet(name) {
  if (!loading.has(name)) {
    const link = document.createElement("link");
    const loaded = new Promise((resolve, reject) => {
      link.onload = resolve;
      link.onerror = () => {
        link.remove();
        loading.delete(name);
        reject(new Error(`The style sheet ${name} could not be loaded.`));
      };
    });
    link.rel = "stylesheet";
    link.href = new URL(`../../css/${name}.css`, import.meta.url).href;
    // The print style sheet stays last, so that it overrides the others.
    document.head.querySelector('link[media="print"]').before(link);
    loading.set(name, loaded);
  }
  return loading.get(name);
}
