export default { poweredByHeader: false, compress: false, devIndicators: false };
