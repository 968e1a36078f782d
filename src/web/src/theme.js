/* The theme that was chosen, before anything is painted in another; see state/prefs.ts. */
try {
  const theme = JSON.parse(localStorage.getItem('nst.theme'))
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  /* then it is the system's */
}
